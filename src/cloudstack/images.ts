/** The images of a release that CloudStack accepts, and how to register them. */

import { join } from 'node:path'
import { isBefore } from '../config/release.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import type { Checksums } from '../export/checksums.ts'
import { parseSections } from '../export/metadata.ts'
import { registeredAlgorithm } from '../export/registration.ts'
import { readRegularText } from '../host/regular-file.ts'
import { type ReleaseRecord, readReleaseRecord, releaseFiles } from '../release/record.ts'
import { type TargetName, targetNames, targets } from '../targets/registry.ts'
import { type CloudHypervisor, cloudHypervisors } from './hypervisors.ts'

export interface CloudImage extends CloudHypervisor {
  readonly target: TargetName
  readonly variant: string
  readonly release: string
  readonly arch: string
  /** Name of the template. */
  readonly name: string
  readonly file: string
  /** In CloudStack's notation, e.g. `{SHA-512}…`. */
  readonly checksum: string
  /** Description of the OS type in CloudStack's database. */
  readonly osType: string
  /** Whether it is a system VM template. */
  readonly isSystem: boolean
}

const mostMetadataBytes = 1024 ** 2

/**
 * @param wanted targets and variants; an empty list means all
 * @throws PipelineError `no-release`, and `usage` if no image is left
 */
export async function readCloudImages(
  folder: string,
  wanted: { readonly targets: readonly TargetName[]; readonly variants: readonly string[] },
): Promise<readonly CloudImage[]> {
  const record = await readReleaseRecord(folder)
  const text = await readRegularText(join(folder, releaseFiles.metadata), mostMetadataBytes).catch(() => '')
  const images = imagesOf(record, text).filter(
    ({ target, variant }) =>
      (wanted.targets.length === 0 || wanted.targets.includes(target)) &&
      (wanted.variants.length === 0 || wanted.variants.includes(variant)),
  )
  if (images.length > 0) return images
  throw new PipelineError({
    code: 'usage',
    message: `${folder} has no such image for ${Object.keys(cloudHypervisors).join(', ')}`,
    hint: `it has: ${record.variants.map(({ variant, files }) => `${variant} (${files.map(({ target }) => target).join(', ')})`).join('; ')}`,
    exitCode: exitCodes.badInput,
  })
}

/** Releases of system VM templates; `metadata.ini` registers the images of any release. */
const systemName = /^systemvm/

/** @param metadata the text of `metadata.ini`, with the names that management servers look for */
export function imagesOf(record: ReleaseRecord, metadata: string): readonly CloudImage[] {
  const sections = [...parseSections(metadata).values()].map(fieldsOf)
  return record.variants.flatMap(({ variant, arch, files }) =>
    files.flatMap(({ file, target: written, ...checksums }) => {
      const target = targetNames.find((name) => name === written)
      const hypervisor = target === undefined ? undefined : cloudHypervisors[target]
      if (target === undefined || hypervisor === undefined) return []
      const isSystem = systemName.test(record.name)
      // A file can be registered for several hypervisors: KVM's is registered for LXC too.
      const section = sections.find(
        ({ filename, templatename = '' }) =>
          filename === file && templatename.includes(`-${hypervisor.seed}-`),
      )
      const own = `${record.name}-${record.release}-${variant}-${target}`
      return [
        {
          ...hypervisor,
          target,
          variant,
          release: record.release,
          arch,
          name: isSystem ? (section?.templatename ?? own) : own,
          file,
          checksum: checksumOf(record, checksums),
          osType: section?.guestos ?? targets[target].hypervisors?.[0]?.guestOs ?? 'Other Linux (64-bit)',
          isSystem,
        },
      ]
    }),
  )
}

/** The parameters of `registerTemplate` other than the zones and the OS type. */
export function registrationOf(image: CloudImage, url: string): Readonly<Record<string, string>> {
  const { name, hypervisor, format, arch, checksum, isSystem, release } = image
  return {
    name,
    displaytext: name,
    url,
    checksum,
    hypervisor,
    format,
    ...(isBefore(release, [4, 20]) && isSystem ? {} : { arch }),
    requireshvm: 'true',
    ispublic: 'false',
    isfeatured: 'false',
    isextractable: 'false',
    passwordenabled: 'false',
    ...(isSystem ? systemFields(release) : {}),
  }
}

// --- internal ---

function checksumOf(record: ReleaseRecord, { md5, sha512 }: Pick<Checksums, 'md5' | 'sha512'>): string {
  // Releases of anything else have their own version numbers.
  const isOld = systemName.test(record.name) && registeredAlgorithm(record) === 'md5'
  return isOld ? `{MD5}${md5}` : `{SHA-512}${sha512}`
}

/** Before 4.19, templates are marked as templates for routers only. */
function systemFields(release: string): Readonly<Record<string, string>> {
  return isBefore(release, [4, 19]) ? { isrouting: 'true' } : { templatetype: 'SYSTEM' }
}

function fieldsOf(lines: string): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    lines.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+) = (.*)$/.exec(line) ?? []
      return name === undefined || value === undefined ? [] : [[name, value]]
    }),
  )
}

/** Makes the folder of a release: the files, and everything that others need to trust them. */

import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Package } from '../debian/dpkg-status.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { algorithms, type Checksums, computeChecksums } from '../export/checksums.ts'
import { writeMetadata } from '../export/metadata.ts'
import { linkOrCopy } from '../host/files.ts'
import { writeFile } from '../host/writing.ts'
import { programVersion } from '../version.ts'
import { writeBills } from './bills.ts'
import { renderList } from './checksum-lists.ts'
import {
  type Collected,
  type CollectedFile,
  type CollectedVariant,
  type CollectRequest,
  collectImages,
} from './collect.ts'
import { renderNotes } from './notes.ts'
import { addPackageSet } from './package-set.ts'
import { renderReleasePage } from './page.ts'
import { chooseReadable, readImagePackages } from './read-image.ts'
import {
  type ExceptionKind,
  type ReleaseException,
  type ReleaseRecord,
  type ReleaseVariant,
  releaseFiles,
  renderReleaseRecord,
} from './record.ts'
import {
  listReleaseFolder,
  makeReleaseFolder,
  requireReplaceable,
  type SoundFiles,
} from './release-folder.ts'
import { type ScanRequest, scanVariant } from './scan-variant.ts'
import { scanners } from './scanners.ts'
import { type SigningKeys, sign } from './sign.ts'
import { type ClaimedRun, renderStatement } from './statement.ts'

export interface ReleaseMakeRequest extends CollectRequest {
  /** Variants of the pipeline that the command line leaves out. */
  readonly otherVariants: readonly string[]
  /** Folder to make. An existing release there is replaced once the new one is complete. */
  readonly folder: string
  /** Faults that the images may have, by `--allow`. */
  readonly allowed: readonly ExceptionKind[]
  readonly tag: string | undefined
  /** The release since which the notes list changes. */
  readonly before: ReleaseRecord | undefined
  readonly claimed: ClaimedRun | undefined
  /** What to ask a scanner; undefined for no scan. */
  readonly scan: ScanRequest | undefined
  /** Whether to add the packages that layer 0 is made from. */
  readonly withPackages: boolean
  /** Keys to sign with. */
  readonly keys: SigningKeys
  /** Called with each step. */
  readonly onStep: (text: string) => void
}

/**
 * Makes a release.
 * @throws PipelineError `release-refused` with every fault, `not-a-release`, `signing-failed`
 */
export async function makeRelease(request: ReleaseMakeRequest): Promise<ReleaseRecord> {
  const sound: SoundFiles = new Map()
  await requireReplaceable(request.folder, request.signal, sound)
  request.onStep('reading the images')
  const found = await collectImages(request)
  const collected = withChoice(found, request)
  requireFit(collected, request)
  const fill = (staging: string) => fillFolder(staging, collected, request)
  const { result, kept } = await makeReleaseFolder(request.folder, fill, request.signal, sound)
  if (kept !== undefined) request.onStep(`other files from that folder are now in ${kept}`)
  return result
}

// --- internal ---

/** Reports variants that were left out on request like missing ones. */
function withChoice({ variants, exceptions }: Collected, request: ReleaseMakeRequest): Collected {
  const missing = request.otherVariants.map((variant) => ({
    kind: 'partial' as const,
    text: `${variant}: left out, as asked`,
    isChosen: true,
  }))
  return { variants, exceptions: [...exceptions, ...missing] }
}

function requireFit({ variants, exceptions }: Collected, { allowed }: ReleaseMakeRequest): void {
  const faults = exceptions.filter(({ kind, isChosen }) => !allowed.includes(kind) && isChosen !== true)
  if (faults.length === 0 && variants.some(({ files }) => files.length > 0)) return
  const lines = faults.map(({ kind, text }) => `  ${kind}: ${text}`)
  const kinds = [...new Set(faults.map(({ kind }) => kind))]
  throw new PipelineError({
    code: 'release-refused',
    message: [
      'these images are not fit to be released:',
      ...(lines.length > 0 ? lines : ['  there are none']),
    ].join('\n'),
    hint: `fix that, or record it in the release with: ${kinds.map((kind) => `--allow ${kind}`).join(' ')}`,
    exitCode: exitCodes.verificationFailed,
    details: { faults },
  })
}

async function fillFolder(
  folder: string,
  { variants, exceptions }: Collected,
  request: ReleaseMakeRequest,
): Promise<ReleaseRecord> {
  const { signal, onStep } = request
  const described: ReleaseVariant[] = []
  const found: ReleaseException[] = [...exceptions]
  for (const variant of variants) {
    onStep(`${variant.image.variant}: files and packages`)
    for (const { file } of variant.files) await linkOrCopy(file, join(folder, basename(file)), signal)
    const one = await describeVariant(folder, variant, request)
    described.push(one.variant)
    found.push(...one.exceptions)
    await writeMetadata(
      folder,
      variant.image,
      variant.files.map(({ result }) => result),
    )
  }
  // A scan needs the SBOMs, which are only made for images without other faults.
  requireFit({ variants, exceptions: found }, request)
  const [first] = variants as [CollectedVariant]
  const packageSet = request.withPackages ? await addPackageSet(folder, variants, request) : undefined
  const record: ReleaseRecord = {
    version: 1,
    name: first.image.name,
    release: first.image.release,
    tag: request.tag ?? null,
    exceptions: found.map(({ kind, text }) => ({ kind, text })),
    source: sourceOf(first),
    ...(packageSet === undefined ? {} : { packageSet }),
    variants: described,
  }
  await writeFile(join(folder, releaseFiles.record), renderReleaseRecord(record))
  await writeFile(join(folder, releaseFiles.notes), renderNotes(record, request.before))
  await writeFile(join(folder, releaseFiles.page), renderReleasePage(record, request.before))
  onStep('statement and checksums')
  await seal(folder, record, variants, request)
  return record
}

async function describeVariant(
  folder: string,
  { image, report, files, inputs, freshness, ...collected }: CollectedVariant,
  { scan, onStep, signal }: ReleaseMakeRequest,
): Promise<{ readonly variant: ReleaseVariant; readonly exceptions: readonly ReleaseException[] }> {
  const packages = collected.packages ?? (await readPackages(files, signal))
  const subject = {
    ...image,
    files: files.map(({ file, result }) => ({ file: basename(file), sha256: result.sha256 })),
  }
  const bills = await writeBills(folder, subject, packages, inputs?.packages ?? [])
  if (scan !== undefined) onStep(`${image.variant}: ${describeScan(scan)}`)
  const scanned = scan && (await scanVariant(folder, image.variant, subject, packages, scan, signal))
  const { id, startedAt, finishedAt, durationSeconds } = report.run
  const variant: ReleaseVariant = {
    variant: image.variant,
    suite: image.suite,
    arch: image.arch,
    installer: report.image.installer,
    ...bills,
    kernel: kernelsAmong(packages),
    run: { id, startedAt, finishedAt, durationSeconds, accelerator: report.host.accelerator },
    snapshot: report.pinned?.snapshot ?? null,
    lock: report.pinned?.lock ?? null,
    files: files.map(describeFile),
    packages: Object.fromEntries(packages.map(({ name, version }) => [name, version])),
    freshness: freshness ?? null,
    ...(scanned === undefined ? {} : { scan: scanned.scan }),
    stages: report.stages.map(({ name, status, build_time, layer }) => ({
      name,
      status,
      build_time,
      layerBytes: layer?.sizeBytes ?? 0,
    })),
  }
  return { variant, exceptions: scanned?.exceptions ?? [] }
}

function describeScan({ scanner }: ScanRequest): string {
  return scanner === undefined
    ? `${scanners.map(({ name }) => name).join(' and ')} are not installed: the release lists only missing updates`
    : `known vulnerabilities, by ${scanner.scanner.name}`
}

/** @throws PipelineError like `readImagePackages` */
async function readPackages(
  files: readonly CollectedFile[],
  signal: AbortSignal,
): Promise<readonly Package[]> {
  const readable = chooseReadable(files.map(({ file, result }) => ({ file, target: result.target })))
  return readable === undefined ? [] : readImagePackages(readable.file, signal)
}

/** The packages that contain a kernel, not those that only depend on one. */
function kernelsAmong(packages: readonly Package[]): string[] {
  return packages
    .filter(({ name }) => /^linux-image-\d/.test(name))
    .map(({ name, version }) => `${name} ${version}`)
}

function describeFile({ file, result, verification }: CollectedFile): ReleaseVariant['files'][number] {
  const { target, format, sizeBytes, virtualSizeBytes, md5, sha256, sha512, madeFrom } = result
  const count = (status: string) =>
    verification?.checks.filter((check) => check.status === status).length ?? 0
  return {
    target,
    format,
    file: basename(file),
    sizeBytes,
    virtualSizeBytes,
    md5,
    sha256,
    sha512,
    madeFrom,
    verification:
      verification === undefined
        ? null
        : {
            status: verification.status,
            accelerator: verification.accelerator,
            scenes: verification.scenes.length,
            passed: count('passed'),
            waived: count('waived'),
            skipped: count('skipped'),
            failed: count('failed'),
          },
  }
}

function sourceOf({ report }: CollectedVariant): ReleaseRecord['source'] {
  return report.source ?? null
}

/** Writes the statement about all files, then the checksum lists of all files including the statement, then signs. */
async function seal(
  folder: string,
  record: ReleaseRecord,
  variants: readonly CollectedVariant[],
  { claimed, keys, signal }: ReleaseMakeRequest,
): Promise<void> {
  const known = new Map<string, Checksums>(
    record.variants.flatMap(({ files }) => files.map((file) => [file.file, file] as const)),
  )
  const checksumsOf = async (name: string) =>
    known.get(name) ?? (await computeChecksums(join(folder, name), signal))
  const { files: names } = await listReleaseFolder(folder)
  const checksums = new Map<string, Checksums>()
  for (const name of names) checksums.set(name, await checksumsOf(name))
  const inputs = new Map(
    variants.flatMap(({ image, inputs }) => (inputs === undefined ? [] : [[image.variant, inputs] as const])),
  )
  const subjects = names.map((name) => ({ name, ...(checksums.get(name) as Checksums) }))
  const text = renderStatement({ record, subjects, inputs, claimed, program: programVersion() })
  await writeFile(join(folder, releaseFiles.statement), text)
  checksums.set(releaseFiles.statement, await checksumsOf(releaseFiles.statement))
  for (const algorithm of algorithms) {
    await writeFile(join(folder, releaseFiles.checksums[algorithm]), renderList(checksums, algorithm))
  }
  await sign(join(folder, releaseFiles.signed), keys)
}

/** Names of files that are too large for a GitHub release, where each file must be under 2 GiB. */
export async function tooLargeForGitHub(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder)
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
  return names.filter((_, index) => (sizes[index] as number) >= 2 * 1024 ** 3)
}

/** How a management server finds its template in `metadata.ini`: names, checksums, and systems, by CloudStack release. */

import type { Arch } from '../arch.ts'
import { isBefore } from '../config/release.ts'
import { type TargetName, targets } from '../targets/registry.ts'
import type { Checksums } from './checksums.ts'

/** The facts that determine the names under which an image is registered. */
export interface Registered {
  readonly release: string
  readonly arch: Arch
  readonly label?: string | undefined
}

/** A section of `metadata.ini`, and what distinguishes it from the file's other sections. */
export interface Registration {
  readonly section: string
  /** If the file has a section with this name, it is read instead of ours. */
  readonly hiddenBy: string | undefined
  readonly templateName: string
  readonly guestOs: string
}

/** The sections for one target's file. If the image has a label, they are only for people: no program reads them. */
export function registrationsOf(image: Registered, target: TargetName): readonly Registration[] {
  const suffix = image.label === undefined ? '' : `-${image.label}`
  const { hypervisors = [] } = targets[target]
  const known = hypervisors.filter(({ archs = targets[target].archs }) => archs.includes(image.arch))
  return known.map(({ name, guestOs }) => {
    const full = `${name}-${image.arch}`
    const section = image.label === undefined ? canonicalSection(image, name) : `${full}${suffix}`
    return {
      section,
      hiddenBy: image.label === undefined && section !== full ? full : undefined,
      templateName: `systemvm-${name}-${image.release}-${image.arch}${suffix}`,
      guestOs,
    }
  })
}

/**
 * Only KVM has templates for several architectures. Since 4.20.1 its section names include all of them; elsewhere they omit
 * x86_64.
 */
function canonicalSection({ release, arch }: Registered, hypervisor: string): string {
  const isNamed = arch !== 'x86_64' || (hypervisor === 'kvm' && !isBefore(release, [4, 20, 1]))
  return isNamed ? `${hypervisor}-${arch}` : hypervisor
}

/** The checksum that the release uses to compare a file with its registration. */
export function registeredChecksum(registered: Pick<Registered, 'release'>, checksums: Checksums): string {
  return checksums[registeredAlgorithm(registered)]
}

export function registeredAlgorithm({ release }: Pick<Registered, 'release'>): 'md5' | 'sha512' {
  return isBefore(release, [4, 22]) ? 'md5' : 'sha512'
}

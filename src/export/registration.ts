/** How a management server finds its template in `metadata.ini`: names, sums and systems, by release of CloudStack. */

import type { Arch } from '../arch.ts'
import { isBefore } from '../config/release.ts'
import { type TargetName, targets } from '../targets/registry.ts'
import type { Checksums } from './checksums.ts'

/** What decides under which names an image is registered. */
export interface Registered {
  readonly release: string
  readonly arch: Arch
  readonly label?: string | undefined
}

/** A section of `metadata.ini`, and what tells it from the others of the same file. */
export interface Registration {
  readonly section: string
  /** A section by this name would be read in place of ours. */
  readonly hiddenBy: string | undefined
  readonly templateName: string
  readonly guestOs: string
}

/** The sections of one target's file. No reader looks for those of an image with a label: they are for people. */
export function registrationsOf(image: Registered, target: TargetName): readonly Registration[] {
  const suffix = image.label === undefined ? '' : `-${image.label}`
  const { hypervisors = [] } = targets[target]
  return hypervisors.map(({ name, guestOs }) => {
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

/** KVM alone has templates for several architectures, and has them since 4.20.1; what is for x86_64 needs no more words. */
function canonicalSection({ release, arch }: Registered, hypervisor: string): string {
  const isNamed = hypervisor === 'kvm' ? !isBefore(release, [4, 20, 1]) : arch !== 'x86_64'
  return isNamed ? `${hypervisor}-${arch}` : hypervisor
}

/** The sum by which the release compares a file with its registration. */
export function registeredSum({ release }: Pick<Registered, 'release'>, sums: Checksums): string {
  return isBefore(release, [4, 22]) ? sums.md5 : sums.sha512
}

/** The facts about one image that stages, templates, and installers share, known before any stage runs. */

import type { Arch, DebianArch } from '../arch.ts'
import type { Disk } from '../disk/layout.ts'
import type { TargetName } from '../targets/registry.ts'

/** Debian release of the image. */
export type Suite = 'bookworm' | 'trixie'

/** Where packages come from. URLs have no trailing slash. */
export interface Mirror {
  readonly debian: string
  readonly security: string
  readonly components: readonly string[]
  /** The guest's keyring file, which the installer uses too. */
  readonly keyring: string
  /**
   * Instant of a snapshot archive (`20261101T000000Z`), if the URLs name one; switches off expiry checks. If no lock provides
   * the instant, it is `latest` and the URLs contain `{snapshot}`: then nothing can be built.
   */
  readonly snapshot?: string | undefined
  /** Where debian-installer gets its own packages: another folder below `dists/`, and another keyring on this host. */
  readonly udebs?: { readonly suite?: string | undefined; readonly keyring?: string | undefined } | undefined
}

/** Debian's own archives. */
export const debianArchives = {
  debian: 'http://deb.debian.org/debian',
  security: 'http://deb.debian.org/debian-security',
  keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
} as const

/** The administrative account of the image, in addition to root. */
export interface Account {
  readonly name: string
  readonly fullName: string
  readonly groups: readonly string[]
}

/** The facts about one image. Stages see exactly this. */
export interface ImageFacts {
  /** `systemvmtemplate` */
  readonly name: string
  /** Version of the images; for a system VM, the CloudStack release, e.g. `4.22.0.0`. */
  readonly release: string
  /** The date stamped on everything in this build: seconds since 1970, UTC. */
  readonly sourceDateEpoch: number
  /** `trixie-x86_64` */
  readonly variant: string
  readonly suite: Suite
  /** Debian's version number of the suite, e.g. `13`. */
  readonly debianVersion: number
  readonly arch: Arch
  readonly debianArch: DebianArch
  readonly hostname: string
  readonly domain: string
  /** e.g. `en_US.UTF-8` */
  readonly locale: string
  /** e.g. `Etc/UTC` */
  readonly timezone: string
  /** Console keyboard, e.g. `us`. */
  readonly keyboard: string
  readonly mirror: Mirror
  readonly account: Account
  /** Debian package of the kernel, e.g. `linux-image-amd64`. */
  readonly kernelPackage: string
  readonly disk: Disk
  readonly targets: readonly TargetName[]
}

/** Virtual sizes that are multiples of this are exact both in CHS geometry and in 2 MiB blocks. */
export const diskUnitMiB = 126

/** The largest such size that a DOS partition table can describe: it counts sectors in 32 bits. */
export const maximumDiskMiB = Math.floor((2 * 1024 ** 2 - 1) / diskUnitMiB) * diskUnitMiB

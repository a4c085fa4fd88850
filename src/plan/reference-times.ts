/** How long the default image takes on a known host, scaled to this one: for hosts that have not built anything yet. */

import { deflateSync } from 'node:zlib'
import { hostArch } from '../arch.ts'
import type { ResolvedImage } from '../config/resolved.ts'

/** Stands for any stage that the default image does not have. */
export const otherStage = 'a stage of another pipeline'

/** Stands for the verification of an image without a contract, which boots nothing. */
export const ownChecks = "a pipeline's own checks"

type Times = Readonly<Record<string, number>>

/** Seconds on two x86 cores, with emulated guests. Stages and parts by name. */
const reference: Times = {
  [otherStage]: 3,
  [ownChecks]: 10,
  base: 92,
  boot: 23,
  build_time: 0.5,
  apt_upgrade: 5,
  configure_grub: 26,
  configure_locale: 1,
  configure_login: 2,
  configure_networking: 2,
  configure_acpid: 1,
  install_systemvm_packages: 2,
  configure_cloud_init: 1,
  configure_conntrack: 3,
  configure_systemvm_services: 17,
  authorized_keys: 0.5,
  configure_persistent_config: 1,
  cleanup: 5,
  zerodisk: 1,
  shutdown: 1.5,
  repack: 14,
  inputs: 6,
  flatten: 1,
  'export kvm': 25,
  'export xenserver': 25,
  'export hyperv': 26,
  'export vmware': 26,
  'export raw': 23,
  'verify hyperv': 183,
  'verify xenserver': 181,
  'verify vmware': 261,
  'verify raw': 123,
  'export virtualbox': 26,
  'verify kvm': 518,
  'verify virtualbox': 181,
}

/** What differs for an aarch64 image on that host, where its programs and guests are emulated. */
const ofForeign: Times = {
  base: 330,
  boot: 36,
  apt_upgrade: 12,
  configure_grub: 95,
  configure_login: 3,
  configure_conntrack: 4,
  configure_systemvm_services: 20,
  cleanup: 7,
  'export kvm': 20,
  'verify kvm': 780,
}

/** Seconds for one round of the calibration on that host. */
const referenceRound = 0.0105

/**
 * Seconds for a stage or part of the default image on this host; undefined for those of other pipelines, and for layer 0 from
 * another installer. Measures this host on first use.
 */
export function referenceTimes(
  { installer, arch }: Pick<ResolvedImage, 'installer' | 'arch'>,
  measure: () => number = measureSlowness,
): (name: string) => number | undefined {
  const times = arch === hostArch ? reference : { ...reference, ...ofForeign }
  let slowness: number | undefined
  return (name) => {
    const seconds = name === 'base' && installer !== 'bootstrap' ? undefined : times[name]
    if (seconds === undefined) return undefined
    slowness ??= measure()
    return seconds * slowness
  }
}

/** How many times as long this host takes for the same work, under its current load. Takes a fraction of a second. */
export function measureSlowness(): number {
  const seconds = Array.from({ length: calibrationRounds }, () => {
    const started = performance.now()
    deflateSync(sample, { level: 9 })
    return (performance.now() - started) / 1000
  })
  // Not the sum: on a busy host, one round may take as long as all the others.
  const [, , , , median = 0] = seconds.sort((a, b) => a - b)
  return median / referenceRound
}

const calibrationRounds = 9

/** As compressible as code: emulation and compression spend their time on branches and table lookups. */
const sample = Buffer.from(Array.from({ length: 1 << 18 }, (_, index) => ((index * 2654435761) >>> 13) % 61))

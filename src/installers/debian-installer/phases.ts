/** The phases of debian-installer, and how long they take. */

/** In order. */
export const installerPhases = [
  'network',
  'preseed',
  'mirror',
  'components',
  'partitioning',
  'base system',
  'packages',
  'boot loader',
  'finish',
] as const

export type InstallerPhase = (typeof installerPhases)[number]

/** The menu item that begins each phase. Items not listed belong to the current phase. */
const beginnings: Readonly<Record<string, InstallerPhase>> = {
  'network-preseed': 'preseed',
  localechooser: 'mirror',
  'choose-mirror': 'mirror',
  'load-cdrom': 'components',
  'download-installer': 'components',
  'user-setup-udeb': 'partitioning',
  'clock-setup': 'partitioning',
  'disk-detect': 'partitioning',
  'partman-base': 'partitioning',
  'bootstrap-base': 'base system',
  'apt-setup-udeb': 'packages',
  pkgsel: 'packages',
  'grub-installer': 'boot loader',
  nobootloader: 'boot loader',
  'save-logs': 'finish',
  'finish-install': 'finish',
}

/** The phase that a menu item begins, by the item's name in `main-menu`; undefined if it does not begin one. */
export function phaseOfItem(item: string): InstallerPhase | undefined {
  return beginnings[item]
}

/** Name of a phase among the parts of a run. */
export function nameOfPhase(phase: InstallerPhase): string {
  return `base ${phase}`
}

/** Seconds that each phase took without KVM, on two cores: the estimate for a host with no earlier installation. */
export const emulatedSeconds: Readonly<Record<InstallerPhase, number>> = {
  network: 60,
  preseed: 40,
  mirror: 10,
  components: 65,
  partitioning: 65,
  'base system': 510,
  packages: 110,
  'boot loader': 120,
  finish: 110,
}

/**
 * Longest silence in a phase. An emulated machine spends a quarter of an hour on an initramfs without any output; before
 * that, some line appears every minute.
 */
export const silenceSeconds: Readonly<Record<InstallerPhase, number>> = {
  network: 240,
  preseed: 180,
  mirror: 240,
  components: 240,
  partitioning: 300,
  'base system': 1500,
  packages: 1500,
  'boot loader': 1200,
  finish: 1500,
}

/** The Debian system of layer 0, whichever installer makes it. */

import type { ResolvedImage } from '../config/resolved.ts'
import type { Disk } from '../disk/layout.ts'
import type { BaseFacts } from '../store/layer-key.ts'

/** What the build itself needs in a guest, in addition to the kernel: access, and a system that boots. */
const provisioningPackages = [
  'debian-archive-keyring',
  'initramfs-tools',
  'iproute2',
  'openssh-server',
  'systemd-sysv',
  'tzdata',
  'udev',
  'zstd',
] as const

/** No image ships these, and they make up half of all files. Man page folders stay: packages register alternatives in them. */
const documentation = ['/usr/share/doc/*', '/usr/share/info/*', '/usr/share/lintian/*', '/usr/share/man/*/*']

/**
 * Configuration of dpkg, effective from the first package on. Copyright files stay, since SBOMs are made from them; `cleanup`
 * removes them.
 */
export function dpkgExcludes({ leaveOut }: Pick<ResolvedImage, 'leaveOut'>): readonly string[] {
  return [
    ...[...documentation, ...leaveOut].map((pattern) => `path-exclude=${pattern}`),
    'path-include=/usr/share/doc/*/copyright',
  ]
}

/** Initramfs settings in the target; they have to exist before the first initramfs is made. */
export const initramfsSettingsFile = '/etc/initramfs-tools/conf.d/systemvm-root'

/**
 * The initramfs needs the program that checks the root filesystem, and cannot find out which one in a tree without a device.
 * systemd keeps the `/run` that the initramfs mounted, by default a tenth of memory; with 256 MiB, that is hardly more than
 * the 16 MiB below which `systemctl daemon-reload` refuses. mkinitramfs reads these settings as shell code, and makes
 * identical bytes from identical files if it clamps all timestamps to a date. Any date will do: the image's would make layer
 * 0 depend on it.
 */
export function initramfsSettings({ partitions }: Disk): readonly string[] {
  const root = partitions.find(({ mount }) => mount === '/')
  return [`FSTYPE=${root?.filesystem}`, 'RUNSIZE=20%', `SOURCE_DATE_EPOCH=${Date.UTC(2000, 0) / 1000}`]
}

/** All packages of layer 0: the kernel, what provisioning needs, and every stage's, since installing them in stages is slow. */
export function basePackages(image: ResolvedImage): readonly string[] {
  const fromStages = image.stages.flatMap((stage) => stage.packages)
  return [...new Set([image.kernelPackage, ...provisioningPackages, ...fromStages])].sort()
}

/** The facts about an image that determine a fresh system, as parts of a key: changes are reported by these names. */
export function baseFacts(image: ResolvedImage): BaseFacts {
  const { suite, arch, disk, hostname, domain, timezone, locale, keyboard, account, leaveOut } = image
  const facts = { suite, arch, disk, hostname, domain, timezone, locale, keyboard, account, leaveOut }
  // A JSON round trip drops undefined values.
  return JSON.parse(JSON.stringify({ packages: basePackages(image), ...facts }))
}

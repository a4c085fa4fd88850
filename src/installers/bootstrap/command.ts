/** The mmdebstrap command: everything that determines layer 0, except the content of its scripts. */

import type { ResolvedImage } from '../../config/resolved.ts'
import { renderSourceLines, renderSources } from '../../debian/archives.ts'
import {
  espMount,
  espOf,
  type Layout,
  type PlacedPartition,
  renderFstab,
  renderSfdisk,
  sectorBytes,
} from '../../disk/layout.ts'
import { quote } from '../../host/shell-words.ts'
import { basePackages, dpkgExcludes, initramfsSettings, initramfsSettingsFile } from '../base-system.ts'

export interface BootstrapCommand {
  readonly words: readonly string[]
  /** Environment that the scripts read. */
  readonly environment: Readonly<Record<string, string>>
}

/** Where a run keeps the files that the command names. */
export interface BootstrapPaths {
  /** Folder with copies of the scripts. */
  readonly scripts: string
  /** Folder that keeps downloaded packages between runs. */
  readonly packageCache: string
  /** Raw disk to make. */
  readonly disk: string
  /** apt's package sources, instead of the image's. */
  readonly sources?: readonly string[] | undefined
}

/** Scripts that mmdebstrap runs as hooks for an image. Those for a foreign architecture are included on every host. */
export function bootstrapScripts({ arch, disk }: Pick<ResolvedImage, 'arch' | 'disk'>): readonly URL[] {
  const more = [
    ...(espOf(disk) === undefined ? [] : ['make-esp.sh']),
    ...(arch === 'x86_64' ? [] : ['cross.sh', 'cross-dpkg.sh', 'cross-perl.sh']),
  ]
  return ['prepare.sh', 'customize.sh', 'make-disk.sh', ...more].map(
    (name) => new URL(`./${name}`, import.meta.url),
  )
}

/** @param isCross whether the host's architecture differs from the image's: the result is the same */
export function bootstrapCommand(
  image: ResolvedImage,
  layout: Layout,
  paths: BootstrapPaths,
  isCross = false,
): BootstrapCommand {
  const hook = (name: string, ...words: readonly string[]) =>
    [`ROOT="$1" sh ${quote(`${paths.scripts}/${name}`)}`, ...words].join(' ')
  const cross = (kind: 'setup' | 'essential' | 'customize', step: string) =>
    isCross ? [`--${kind}-hook=${hook('cross.sh', step)}`] : []
  const esp = espOf(layout)
  const words = [
    '--mode=unshare',
    '--variant=apt',
    `--architectures=${image.debianArch}`,
    `--keyring=${image.mirror.keyring}`,
    `--include=${basePackages(image).join(',')}`,
    // The lists stay, so that the guest's own update only fetches changes.
    '--skip=cleanup/apt/lists,download/empty,essential/unlink',
    `--setup-hook=${hook('prepare.sh')}`,
    ...cross('setup', 'begin'),
    ...cross('essential', 'swap'),
    '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
    `--setup-hook=sync-in ${quote(paths.packageCache)} /var/cache/apt/archives`,
    `--customize-hook=sync-out /var/cache/apt/archives ${quote(paths.packageCache)}`,
    `--customize-hook=${'rm -rf "$1"/var/cache/apt/archives/*.deb'}`,
    ...cross('customize', 'end'),
    `--customize-hook=${hook('customize.sh')}`,
    ...(esp === undefined ? [] : efiHooks(image)),
    `--customize-hook=${hook('make-disk.sh')}`,
    ...(esp === undefined ? [] : [`--customize-hook=${hook('make-esp.sh')}`]),
    ...cross('customize', 'list'),
    image.suite,
    '/dev/null',
    ...(paths.sources ?? renderSourceLines(image)),
  ]
  const environment = hookEnvironment(image, layout, paths.disk)
  return { words, environment: isCross ? { ...environment, PATH: crossPath() } : environment }
}

/** The command as a person could type it. */
export function renderCommand({ words, environment }: BootstrapCommand): string {
  const variables = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`)
  return `${[...variables, ['mmdebstrap', ...words.map(quote)].join(' \\\n  ')].join('\n')}\n`
}

/** The folder where `cross.sh` has put this host's programs, inside the tree, comes first; outside, it does not exist. */
function crossPath(): string {
  return `/.native/bin:${process.env.PATH ?? ''}`
}

function hookEnvironment(image: ResolvedImage, layout: Layout, disk: string): Record<string, string> {
  const partitions = [...layout.partitions]
    .filter(({ filesystem }) => filesystem !== 'vfat')
    .sort((a, b) => (b.mount ?? '').length - (a.mount ?? '').length)
  const esp = espOf(layout)
  return {
    DPKG_EXCLUDES: dpkgExcludes(image).join('\n'),
    INITRAMFS_SETTINGS: initramfsSettings(image.disk).join('\n'),
    INITRAMFS_SETTINGS_FILE: initramfsSettingsFile,
    FSTAB: renderFstab(layout),
    HOSTNAME_SHORT: image.hostname,
    DOMAIN: image.domain,
    TIMEZONE: image.timezone,
    LOCALE: image.locale,
    KEYBOARD: image.keyboard,
    ACCOUNT_NAME: image.account.name,
    ACCOUNT_FULL_NAME: image.account.fullName,
    ACCOUNT_GROUPS: image.account.groups.join(' '),
    SOURCES: renderSources(image),
    DISK: disk,
    DISK_BYTES: `${layout.sizeBytes}`,
    SFDISK_INPUT: renderSfdisk(layout),
    ...(esp === undefined ? {} : { ESP: espWords(esp) }),
    PARTITIONS: partitions
      .map(({ startSector, sectors, filesystem, uuid, reservedPercent, mount }) =>
        [
          startSector * sectorBytes,
          sectors * sectorBytes,
          filesystem,
          uuid,
          reservedPercent,
          mount ?? '-',
        ].join(' '),
      )
      .join('\n'),
  }
}

/**
 * Makes the mount point of the partition. Also lets upgrades of GRUB find what the firmware starts, without changing the
 * firmware's variables.
 */
function efiHooks({ arch, debianArch }: Pick<ResolvedImage, 'arch' | 'debianArch'>): readonly string[] {
  const folder = `--customize-hook=mkdir -p "$1${espMount}"`
  // On a PC, the GRUB package is the one for BIOS, which never touches the partition.
  if (arch === 'x86_64') return [folder]
  const question = quote(`grub-efi-${debianArch} grub2/%s boolean %s\\n`)
  const answers = 'force_efi_extra_removable true update_nvram false'
  return [folder, `--customize-hook=printf ${question} ${answers} | chroot "$1" debconf-set-selections`]
}

function espWords({ startSector, sectors, uuid }: PlacedPartition): string {
  return [startSector * sectorBytes, sectors * sectorBytes, uuid.replace('-', '')].join(' ')
}

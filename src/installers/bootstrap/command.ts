/** The mmdebstrap command: everything that determines layer 0, besides the content of its scripts. */

import type { ResolvedImage } from '../../config/resolved.ts'
import { renderSourceLines, renderSources } from '../../debian/archives.ts'
import { type Layout, renderFstab, renderSfdisk, sectorBytes } from '../../disk/layout.ts'
import { quote } from '../../host/shell-words.ts'
import { basePackages, dpkgExcludes, initramfsSettings, initramfsSettingsFile } from '../base-system.ts'

export interface BootstrapCommand {
  readonly words: readonly string[]
  /** What the scripts read. */
  readonly environment: Readonly<Record<string, string>>
}

/** Where a run keeps what the command names. */
export interface BootstrapPaths {
  /** Folder with copies of the scripts. */
  readonly scripts: string
  /** Folder that keeps downloaded packages between runs. */
  readonly packageCache: string
  /** Raw disk to make. */
  readonly disk: string
}

/** Scripts that mmdebstrap runs as hooks. */
export const bootstrapScripts = ['prepare.sh', 'customize.sh', 'make-disk.sh'].map(
  (name) => new URL(`./${name}`, import.meta.url),
)

export function bootstrapCommand(
  image: ResolvedImage,
  layout: Layout,
  paths: BootstrapPaths,
): BootstrapCommand {
  const hook = (name: string) => `ROOT="$1" sh ${quote(`${paths.scripts}/${name}`)}`
  const words = [
    '--mode=unshare',
    '--variant=apt',
    `--architectures=${image.debianArch}`,
    `--keyring=${image.mirror.keyring}`,
    `--include=${basePackages(image).join(',')}`,
    // The lists stay, so that the guest's own update only fetches changes.
    '--skip=cleanup/apt/lists,download/empty,essential/unlink',
    `--setup-hook=${hook('prepare.sh')}`,
    '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
    `--setup-hook=sync-in ${quote(paths.packageCache)} /var/cache/apt/archives`,
    `--customize-hook=sync-out /var/cache/apt/archives ${quote(paths.packageCache)}`,
    `--customize-hook=${'rm -rf "$1"/var/cache/apt/archives/*.deb'}`,
    `--customize-hook=${hook('customize.sh')}`,
    `--customize-hook=${hook('make-disk.sh')}`,
    image.suite,
    '/dev/null',
    ...renderSourceLines(image),
  ]
  return { words, environment: hookEnvironment(image, layout, paths.disk) }
}

/** The command as a person could type it. */
export function renderCommand({ words, environment }: BootstrapCommand): string {
  const variables = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`)
  return `${[...variables, ['mmdebstrap', ...words.map(quote)].join(' \\\n  ')].join('\n')}\n`
}

function hookEnvironment(image: ResolvedImage, layout: Layout, disk: string): Record<string, string> {
  const partitions = [...layout.partitions].sort((a, b) => (b.mount ?? '').length - (a.mount ?? '').length)
  return {
    DPKG_EXCLUDES: dpkgExcludes.join('\n'),
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

/** The first stage on an existing disk image: adds what an installer would have left there. */

import { fileURLToPath } from 'node:url'
import { plainStage, type ResolvedImage, type ResolvedStage } from '../../config/resolved.ts'
import { renderSources } from '../../debian/archives.ts'
import { optionalMounts } from '../../disk/layout.ts'
import { basePackages, dpkgExcludes, initramfsSettings, initramfsSettingsFile } from '../base-system.ts'

/** @param image without this stage: the packages of all its stages are installed */
export function adoptionStage(image: ResolvedImage): ResolvedStage {
  return {
    ...plainStage,
    name: 'adopt_disk_image',
    summary: 'what the other stages expect of layer 0',
    script: fileURLToPath(new URL('./adopt_disk_image.sh', import.meta.url)),
    environment: {
      PACKAGES: basePackages(image).join(' '),
      SOURCES: renderSources(image),
      KEYRING: image.mirror.keyring,
      TIMEZONE: image.timezone,
      KEYBOARD: image.keyboard,
      DPKG_EXCLUDES: dpkgExcludes(image).join('\n'),
      INITRAMFS_SETTINGS: initramfsSettings(image.disk).join('\n'),
      INITRAMFS_SETTINGS_FILE: initramfsSettingsFile,
      OPTIONAL_MOUNTS: optionalMounts.map(({ where, options }) => `${options} ${where}`).join('\n'),
    },
    leaves: [
      '/etc/apt/sources.list.d/debian.sources',
      '/etc/dpkg/dpkg.cfg.d/systemvm',
      initramfsSettingsFile,
    ],
  }
}

/** The installers. A new one is a folder next to this file and a line here. */

import type { InstallerName } from '../config/installer.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { bootstrapInstaller } from './bootstrap/installer.ts'
import { debianInstaller } from './debian-installer/installer.ts'
import { diskImageInstaller } from './disk-image/installer.ts'
import type { Installer } from './installer.ts'

const byName: Readonly<Record<InstallerName, Installer>> = {
  bootstrap: bootstrapInstaller,
  'debian-installer': debianInstaller,
  'disk-image': diskImageInstaller,
}

export const installers: readonly Installer[] = Object.values(byName)

/** The installer of an image. */
export function installerOf({ installer }: { readonly installer: InstallerName }): Installer {
  return byName[installer]
}

/** The same image, with its installer's own stages before all others. */
export function withInstallerStages(image: ResolvedImage): ResolvedImage {
  const stages = installerOf(image).stages?.(image) ?? []
  return stages.length === 0 ? image : { ...image, stages: [...stages, ...image.stages] }
}

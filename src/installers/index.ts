/** The installers that there are. A new one is a folder beside this file and a line here. */

import { bootstrapInstaller } from './bootstrap/installer.ts'
import { debianInstaller } from './debian-installer/installer.ts'
import type { Installer, InstallerName } from './installer.ts'

const byName: Readonly<Record<InstallerName, Installer>> = {
  bootstrap: bootstrapInstaller,
  'debian-installer': debianInstaller,
}

export const installers: readonly Installer[] = Object.values(byName)

/** The one that an image asks for. */
export function installerOf({ installer }: { readonly installer: InstallerName }): Installer {
  return byName[installer]
}

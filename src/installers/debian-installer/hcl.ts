/** Packer's template for an installation: a machine that boots the installer, and a server with its preseed. */

import { hclString, type PackerDialect, pluginVersion } from '../../packer/template.ts'
import type { QemuArguments } from '../../qemu/arguments.ts'
import { renderTemplate } from '../../template.ts'

export interface InstallerTemplateView {
  readonly variant: string
  readonly dialect: PackerDialect
  readonly dummyDisk: string
  /** sha256 of the dummy disk. */
  readonly dummyDigest: string
  readonly outputFolder: string
  readonly machineName: string
  /** Folder that Packer serves. */
  readonly httpFolder: string
  readonly accelerator: string
  readonly machineArguments: QemuArguments
}

/** Renders `installer.pkr.hcl`. */
export function renderInstallerTemplate(view: InstallerTemplateView): string {
  const text = { ...view, pluginVersion: view.dialect === '1.6' ? false : pluginVersion }
  return renderTemplate('installer.pkr.hcl.hbs', text, { hcl: hclString })
}

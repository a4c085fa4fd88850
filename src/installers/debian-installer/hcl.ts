/** Packer's template for an installation: a machine that boots the installer, and a server with its preseed. */

import { hclString, type PackerBuild, pluginVersion, programOf } from '../../packer/template.ts'
import { renderTemplate } from '../../template.ts'

export interface InstallerTemplateView extends PackerBuild {
  /** Folder that Packer serves. */
  readonly httpFolder: string
}

/** Renders `installer.pkr.hcl`. */
export function renderInstallerTemplate(view: InstallerTemplateView): string {
  const text = {
    ...view,
    program: programOf(view.arch),
    pluginVersion: view.dialect === '1.6' ? false : pluginVersion,
  }
  return renderTemplate('installer.pkr.hcl.hbs', text, { hcl: hclString })
}

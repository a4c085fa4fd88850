/** The complete preseed of an image. */

import type { ExtraAnswer } from '../../config/debian-installer.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { basePackages } from '../base-system.ts'
import { type InstallerHost, preseedView, renderPreseed } from './preseed.ts'

/** Without these, an installer booted from a disc would leave out the mirror, and list the disc in the sources. */
const answersOfDisc: readonly ExtraAnswer[] = [
  { owner: 'd-i', question: 'apt-setup/use_mirror', type: 'boolean', value: true },
  { owner: 'd-i', question: 'apt-setup/cdrom/set-first', type: 'boolean', value: false },
]

/**
 * The preseed as served to an installer; without a host, one for use elsewhere, without our proxy.
 * @throws PipelineError `installer-disk`, `preseed-value`
 */
export function renderImagePreseed(image: ResolvedImage, host?: InstallerHost): string {
  const { iso, extraAnswers } = image.debianInstaller
  const answers = iso === undefined ? extraAnswers : [...answersOfDisc, ...extraAnswers]
  return renderPreseed(preseedView(image, basePackages(image), answers, host))
}

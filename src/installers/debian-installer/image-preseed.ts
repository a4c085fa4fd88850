/** The preseed of an image, with all that goes into it. */

import type { ExtraAnswer } from '../../config/debian-installer.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { basePackages } from '../base-system.ts'
import { type InstallerHost, preseedView, renderPreseed } from './preseed.ts'

/** An installer that comes from a disc would leave the mirror out, and name the disc in the sources. */
const answersOfDisc: readonly ExtraAnswer[] = [
  { owner: 'd-i', question: 'apt-setup/use_mirror', type: 'boolean', value: true },
  { owner: 'd-i', question: 'apt-setup/cdrom/set-first', type: 'boolean', value: false },
]

/**
 * The preseed as it is served to an installer, or without a host as one to be used elsewhere, which knows no proxy of ours.
 * @throws PipelineError `installer-disk`, `preseed-value`
 */
export function renderImagePreseed(image: ResolvedImage, host?: InstallerHost): string {
  const { iso, extraAnswers } = image.debianInstaller
  const answers = iso === undefined ? extraAnswers : [...answersOfDisc, ...extraAnswers]
  return renderPreseed(preseedView(image, basePackages(image), answers, host))
}

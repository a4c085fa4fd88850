/** What an image is held against follows from what it brings along. */

import type { ResolvedImage } from '../config/resolved.ts'
import { isCloudStacks } from './cloudstack-scripts.ts'

/** The same image; where CloudStack's own first boot is brought, held against what holds for that. */
export async function chooseContract(image: ResolvedImage): Promise<ResolvedImage> {
  if (image.verification.contract !== 'cloudstack') return image
  const folders = image.stages.flatMap(({ files, fileKinds }) =>
    Object.entries(files).flatMap(([name, folder]) => (fileKinds[name] === 'cloudstack' ? [folder] : [])),
  )
  const answers = await Promise.all(folders.map(isCloudStacks))
  if (!answers.includes(true)) return image
  return { ...image, verification: { ...image.verification, contract: 'cloudstack-payload' } }
}

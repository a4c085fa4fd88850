/** Chooses the contract of an image by the payload that it brings. */

import type { ResolvedImage } from '../config/resolved.ts'
import { isCloudStacks } from './cloudstack-scripts.ts'

/** Returns the same image; if it brings CloudStack's own first boot, with the contract for that. */
export async function chooseContract(image: ResolvedImage): Promise<ResolvedImage> {
  if (image.verification.contract !== 'cloudstack') return image
  const folders = image.stages.flatMap(({ files, fileKinds }) =>
    Object.entries(files).flatMap(([name, folder]) => (fileKinds[name] === 'cloudstack' ? [folder] : [])),
  )
  const answers = await Promise.all(folders.map(isCloudStacks))
  if (!answers.includes(true)) return image
  return { ...image, verification: { ...image.verification, contract: 'cloudstack-payload' } }
}

/** Which images are packed once more. */

import type { Target } from './image.ts'
import type { PipelineFields } from './pipeline.ts'

export type Archive = 'none' | 'bz2' | 'zip'

/** How a target's file is packed. An OVA never is. */
export function archiveOf(target: Target, formats: PipelineFields['formats']): Archive {
  return target === 'vmware' ? 'none' : formats[target].archive
}

/** The smallest pipeline that makes an image. */

import { fileURLToPath } from 'node:url'

export const tinyPipeline = fileURLToPath(new URL('../fixtures/tiny/pipeline.ts', import.meta.url))

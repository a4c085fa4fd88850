/** The way in which a verification fails. */

import { exitCodes, PipelineError } from '../errors.ts'
import type { ImageVerification } from '../report/verification.ts'

/** Of images that are whole, and are not what CloudStack relies on. */
export function verificationFailed(images: readonly ImageVerification[]): PipelineError {
  const failures = images.map(({ path, checks }) => {
    const ids = new Set(checks.filter(({ status }) => status === 'failed').map(({ id }) => id))
    return `${path}: ${[...ids].join(', ')}`
  })
  return new PipelineError({
    code: 'verification-failed',
    message: `${failures.length === 1 ? 'an image does' : 'images do'} not keep what CloudStack relies on: ${failures.join('; ')}`,
    hint: 'what was observed stands above; docs/verify.md says what each check is for, and how one is waived.',
    exitCode: exitCodes.verificationFailed,
  })
}

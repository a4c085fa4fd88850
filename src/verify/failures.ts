/** The error of a failed verification. */

import { exitCodes, PipelineError } from '../errors.ts'
import type { ImageVerification } from '../report/verification.ts'

/** For images that are intact but lack what CloudStack relies on. */
export function verificationFailed(images: readonly ImageVerification[]): PipelineError {
  const failures = images.map(({ path, checks }) => {
    const ids = new Set(checks.filter(({ status }) => status === 'failed').map(({ id }) => id))
    return `${path}: ${[...ids].join(', ')}`
  })
  return new PipelineError({
    code: 'verification-failed',
    message: `${failures.length === 1 ? 'an image does' : 'images do'} not provide what CloudStack relies on: ${failures.join('; ')}`,
    hint: 'the failures are listed above; docs/verify.md says what each check is for, and how to waive one.',
    exitCode: exitCodes.verificationFailed,
  })
}

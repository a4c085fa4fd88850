/** The error for a disk that can't be read. */

import { exitCodes, PipelineError } from '../errors.ts'

export function unreadableDisk(
  message: string,
  cause?: unknown,
  hint = 'give the path of a whole disk image that qemu-img reads, with its backing files where it looks for them.',
): PipelineError {
  return new PipelineError({
    code: 'disk-unreadable',
    message,
    hint,
    exitCode: exitCodes.badInput,
    cause,
  })
}

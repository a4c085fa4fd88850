/** The error of a disk that is not what can be read. */

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

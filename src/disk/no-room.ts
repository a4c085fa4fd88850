/** A work folder that is too small for what is copied into it. */

import { dirname } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'

/** @param file the copy */
export function noRoomFor(file: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: 'no-space',
    message: `there is no room for a copy of the disk's data in ${dirname(file)}`,
    hint: 'make room there, or set TMPDIR to a folder that has it.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

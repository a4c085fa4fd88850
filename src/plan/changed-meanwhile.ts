/** What stages are made from is checked first, and read later: an editor or a checkout may replace it in between. */

import { exitCodes, PipelineError } from '../errors.ts'
import { NotReadable } from '../host/regular-file.ts'

export function changedMeanwhile(stage: string, path: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: 'changed-meanwhile',
    message: `${path} of stage ${stage} changed while the build was being planned`,
    hint: 'run the build again.',
    exitCode: exitCodes.badInput,
    cause,
  })
}

const replaced = /^(ENOENT|ENOTDIR|EISDIR|ELOOP|ERR_FS_CP_.*)$/

/** For `catch`. @throws PipelineError `changed-meanwhile` if there is no longer what was there; else the error */
export function unlessChanged(stage: string, path: string): (cause: unknown) => never {
  return (cause) => {
    const isGone = cause instanceof NotReadable || replaced.test(`${(cause as NodeJS.ErrnoException).code}`)
    throw isGone ? changedMeanwhile(stage, path, cause) : cause
  }
}

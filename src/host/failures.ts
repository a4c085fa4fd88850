/** Failures that can happen to anything on a host: a full disk, or an interruption. */

import { exitCodes, PipelineError } from '../errors.ts'

/** Whether an error from a system call or a program means a full disk. */
export function isNoSpace(cause: unknown): boolean {
  return cause instanceof Error && /ENOSPC|No space left on device/i.test(cause.message)
}

export function diskFailed(isFull: boolean, folder: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: isFull ? 'disk-full' : 'disk-error',
    message: isFull
      ? `the disk that holds ${folder} is full`
      : `the guest's disk in ${folder} could not be read or written`,
    hint: `${isFull ? 'make room there' : 'check that disk'} and run the build again: it resumes after the last finished stage.`,
    cause,
  })
}

export function interrupted(hint = 'run it again: it resumes after the last finished stage.'): PipelineError {
  return new PipelineError({
    code: 'interrupted',
    message: 'the build was interrupted',
    hint,
    exitCode: exitCodes.interrupted,
  })
}

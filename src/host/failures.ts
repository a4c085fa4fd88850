/** Failures that can affect anything on a host: a full disk, or an interruption. */

import { exitCodes, messageOf, PipelineError } from '../errors.ts'

/** Whether an error from a system call or a program means that a disk is full. */
export function isNoSpace(cause: unknown): boolean {
  return cause instanceof Error && /ENOSPC|No space left on device/i.test(cause.message)
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EEXIST: 'something else has its name',
  ENOTDIR: 'a part of its path is not a folder',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'it is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'your quota is used up',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this host',
  EIO: 'the disk failed',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links lead back to themselves',
}

/** Why a system call failed, in words and with its code; the message of any other error. */
export function reasonOf(cause: unknown): string {
  const { code = '' } = (cause ?? {}) as Partial<NodeJS.ErrnoException>
  const reason = reasons[code]
  return reason === undefined ? messageOf(cause) : `${reason} (${code})`
}

export function diskFailed(isFull: boolean, folder: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: isFull ? 'disk-full' : 'disk-error',
    message: isFull
      ? `the disk that holds ${folder} is full`
      : `the guest's disk in ${folder} could not be read or written`,
    hint: `${isFull ? 'free some space there' : 'check that disk'} and run the build again: it resumes after the last finished stage.`,
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

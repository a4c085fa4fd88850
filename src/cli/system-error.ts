/** Failures of system calls that no verb expects: the host's or the user's, not the program's. */

import { constants } from 'node:os'
import type { ErrorCode } from '../error-codes.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { toolsMissing } from '../host/tools.ts'

const advice: Readonly<
  Record<string, { readonly code: ErrorCode; readonly what: string; readonly hint: string }>
> = {
  ENOSPC: { code: 'disk-full', what: 'the disk is full', hint: 'make room there.' },
  EDQUOT: { code: 'disk-full', what: 'your quota is used up', hint: 'make room there.' },
  EROFS: { code: 'out-read-only', what: 'it is read-only', hint: 'name a folder that you can write to.' },
  EACCES: { code: 'unreadable', what: 'permission denied', hint: 'check who owns it.' },
  EPERM: { code: 'unreadable', what: 'not permitted', hint: 'check who owns it.' },
  EMFILE: { code: 'unreadable', what: 'too many open files', hint: 'raise the limit (ulimit -n).' },
  ENFILE: { code: 'unreadable', what: 'too many open files on this host', hint: 'end some programs.' },
  EIO: { code: 'unreadable', what: 'the disk failed', hint: 'check it (dmesg).' },
  ENAMETOOLONG: { code: 'unreadable', what: 'its name is too long', hint: 'name a shorter one.' },
  ELOOP: { code: 'unreadable', what: 'its links lead in a circle', hint: 'remove one of them.' },
  ENOTDIR: { code: 'unreadable', what: 'a part of the path is no folder', hint: 'name another one.' },
}

/** What a user can do about it; undefined if the error is none of these. */
export function explainSystemError(error: unknown): PipelineError | undefined {
  if (!(error instanceof Error)) return undefined
  const program = missingProgram(error) ?? missingProgram(error.cause)
  if (program !== undefined) return toolsMissing([program])
  const { code = '', path, syscall } = error as NodeJS.ErrnoException
  const found = code in constants.errno ? advice[code] : undefined
  if (found === undefined) return undefined
  return new PipelineError({
    code: found.code,
    message: `cannot ${syscall ?? 'use a file'}${path === undefined ? '' : ` ${path}`}: ${found.what} (${code})`,
    hint: found.hint,
    exitCode: exitCodes.hostNotFit,
    cause: error,
  })
}

// --- internal ---

/** The program that could not be started because it is not there. */
function missingProgram(error: unknown): string | undefined {
  const { code, syscall = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>
  return code === 'ENOENT' ? /^spawn (.+)$/.exec(syscall)?.[1] : undefined
}

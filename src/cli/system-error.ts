/** Failed system calls that no verb expects: problems of the host or the user, not of the program. */

import { constants } from 'node:os'
import type { ErrorCode } from '../error-codes.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { reasonOf } from '../host/failures.ts'
import { toolsMissing } from '../host/tools.ts'

const advice: Readonly<Record<string, { readonly code: ErrorCode; readonly hint: string }>> = {
  ENOSPC: { code: 'disk-full', hint: 'free some space there, and run the command again.' },
  EDQUOT: { code: 'disk-full', hint: 'free some space there, and run the command again.' },
  EROFS: { code: 'out-read-only', hint: 'name a folder that you can write to.' },
  EACCES: { code: 'unreadable', hint: 'check who owns it.' },
  EPERM: { code: 'unreadable', hint: 'check who owns it.' },
  EMFILE: { code: 'unreadable', hint: 'raise the limit (ulimit -n).' },
  ENFILE: { code: 'unreadable', hint: 'close some programs.' },
  EIO: { code: 'unreadable', hint: 'check it (dmesg).' },
  ENAMETOOLONG: { code: 'unreadable', hint: 'name a shorter one.' },
  ELOOP: { code: 'unreadable', hint: 'remove one of them.' },
  ENOTDIR: { code: 'unreadable', hint: 'name another one.' },
}

/** What a code means when no folder could be made, as another code. */
const meaningForFolders: Readonly<Record<string, string>> = {
  // Some filesystems answer that, such as /proc.
  ENOENT: 'EROFS',
  // A file has the name, or a link to nothing.
  EEXIST: 'ENOTDIR',
}

/** An error with a hint for the user; undefined if the error is not one of these. */
export function explainSystemError(error: unknown): PipelineError | undefined {
  if (!(error instanceof Error)) return undefined
  const program = missingProgram(error) ?? missingProgram(error.cause)
  if (program !== undefined) return toolsMissing([program])
  const { code = '', path, syscall } = error as NodeJS.ErrnoException
  const meaning = (syscall === 'mkdir' ? meaningForFolders[code] : undefined) ?? code
  const found = code in constants.errno ? advice[meaning] : undefined
  if (found === undefined) return undefined
  return new PipelineError({
    code: found.code,
    message: `cannot ${syscall ?? 'use a file'}${path === undefined ? '' : ` ${path}`}: ${reasonOf(error)}`,
    hint: found.hint,
    exitCode: exitCodes.hostNotFit,
    cause: error,
  })
}

// --- internal ---

/** The program that could not be started because it does not exist. */
function missingProgram(error: unknown): string | undefined {
  const { code, syscall = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>
  return code === 'ENOENT' ? /^spawn (.+)$/.exec(syscall)?.[1] : undefined
}

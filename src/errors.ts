/** Failures with a cause outside this program. Anything else that is thrown is a bug, and shows its stack. */

import type { ErrorCode } from './error-codes.ts'

/** Meaning of the program's exit status. */
export const exitCodes = {
  ok: 0,
  /** A stage, an installation or an export failed. */
  buildFailed: 1,
  /** Bad configuration or usage: nothing was touched. */
  badInput: 2,
  /** The host, the mirror or the disk is not suitable: nothing was built. */
  hostNotFit: 3,
  verificationFailed: 4,
  interrupted: 130,
} as const

export interface ErrorFields {
  readonly code: ErrorCode
  /** What happened, where, and the value found, in the user's terms. */
  readonly message: string
  /** What to do next. */
  readonly hint?: string | undefined
  /** @default exitCodes.buildFailed */
  readonly exitCode?: number
  /** Facts for machines; they end up in the report. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** An expected failure. `code` is stable; `message` and `hint` are for people. */
export class PipelineError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly exitCode: number
  readonly details: Readonly<Record<string, unknown>>

  constructor(fields: ErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.name = 'PipelineError'
    this.code = fields.code
    this.hint = fields.hint
    this.exitCode = fields.exitCode ?? exitCodes.buildFailed
    this.details = fields.details ?? {}
  }
}

/** Whether the host made something fail, so that the failure says nothing about what was examined. */
export function isHostFault(thrown: unknown): thrown is PipelineError {
  return thrown instanceof PipelineError && thrown.exitCode === exitCodes.hostNotFit
}

/** What a system call reports of a host that lacks something, whatever it was asked to do. */
const hostCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM', 'EROFS', 'EIO']

/** The same, also of system calls that failed. */
export function isOfHost(thrown: unknown): boolean {
  const isCall = thrown instanceof Error && 'syscall' in thrown && 'code' in thrown
  return isHostFault(thrown) || (isCall && hostCodes.includes(thrown.code))
}

/** How many of the last lines of a log an error shows. */
export const shownLines = 20

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** Closes a `switch` over a union: a missing case is a type error, and throws at run time. */
export function unreachable(value: never): never {
  throw new Error(`not a case of its union: ${JSON.stringify(value)}`)
}

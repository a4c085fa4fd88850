/** Failures as a person sees them. */

import { PipelineError } from '../../errors.ts'
import type { Colors } from '../../report/format.ts'
import { explainSystemError } from '../system-error.ts'

interface ShownFailure {
  readonly message: string
  readonly hint?: string | undefined
  /** The last lines of a log. */
  readonly lastLines?: unknown
}

/** What went wrong, what to do next, and the last lines of a log; each line ends with a line feed. */
export function renderFailure({ message, hint, lastLines }: ShownFailure, colors: Colors): string {
  const lines = Array.isArray(lastLines) ? lastLines.map((line) => colors.dim(`  │ ${line}`)) : []
  const next = hint === undefined ? [] : [`  ${hint}`]
  return [`${colors.red('✖')} ${message}`, ...next, ...lines].map((line) => `${line}\n`).join('')
}

/** The same for anything thrown: an unexpected error is a bug. */
export function renderError(thrown: unknown, colors: Colors): string {
  const error = explainSystemError(thrown) ?? thrown
  if (error instanceof PipelineError) {
    const { message, hint, details } = error
    return renderFailure({ message, hint, lastLines: details.lastLines }, colors)
  }
  return `${colors.red('✖')} this is a bug in systemvm-image:\n${(error as Error)?.stack ?? String(error)}\n`
}

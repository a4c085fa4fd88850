/** The terminal as verbs see it: results go out, everything else goes to the side. */

import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import picocolors from 'picocolors'
import type { Colors } from '../report/format.ts'
import { createTerminalReporter } from './views/progress.ts'

export interface Terminal {
  /** Writes a result to stdout. */
  readonly out: (text: string) => void
  /** Writes anything else to stderr. */
  readonly error: (text: string) => void
  readonly colors: Colors
  /** Whether a line on stderr may be drawn over. */
  readonly isLive: boolean
  readonly columns: () => number
}

/** NO_COLOR and CI are respected; colours and live lines are for a terminal alone. */
export function createTerminal({ stdout, stderr, env }: NodeJS.Process): Terminal {
  const isTerminal = stderr.isTTY === true && env.TERM !== 'dumb'
  const isLive = isTerminal && (env.CI ?? '') === ''
  return {
    // Colours are decided by stderr; a result that goes into a file or a pipe has none all the same.
    out: (text) => void stdout.write(stdout.isTTY === true ? text : stripVTControlCharacters(text)),
    error: (text) => void stderr.write(text),
    colors: picocolors.createColors(isTerminal && (env.NO_COLOR ?? '') === ''),
    isLive,
    columns: () => stderr.columns ?? 100,
  }
}

/** A reporter of what goes on, on this terminal. */
export function reportTo(terminal: Terminal, outFolder: string): ReturnType<typeof createTerminalReporter> {
  return createTerminalReporter({
    write: terminal.error,
    outFolder: relative(process.cwd(), outFolder) || '.',
    isLive: terminal.isLive,
    columns: terminal.columns(),
    colors: terminal.colors,
    nowMs: () => performance.now(),
  })
}

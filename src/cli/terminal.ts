/** The terminal as verbs see it: results go to stdout, everything else to stderr. */

import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import picocolors from 'picocolors'
import { redact } from '../redact.ts'
import type { Colors } from '../report/format.ts'
import { disarm } from '../text.ts'
import { createTerminalReporter, type Reporter } from './views/progress.ts'

export interface Terminal {
  /** Writes a result to stdout. Of text from outside, what would control a terminal or a CI system is escaped. */
  readonly out: (text: string) => void
  /** Writes anything else to stderr, escaped as well. */
  readonly error: (text: string) => void
  /** Empties the last line on stderr, so that it can be redrawn. */
  readonly eraseLine: () => void
  readonly colors: Colors
  /** Whether a line on stderr may be redrawn. */
  readonly isLive: boolean
  readonly columns: () => number
}

/** Respects NO_COLOR and CI; only a terminal gets colors and live lines. Nothing that is written has credentials in it. */
export function createTerminal({ stdout, stderr, env }: NodeJS.Process): Terminal {
  const isTerminal = stderr.isTTY === true && env.TERM !== 'dumb'
  const isLive = isTerminal && (env.CI ?? '') === ''
  const hasColors = isTerminal && (env.NO_COLOR ?? '') === ''
  return {
    // stderr decides about colors; a result that goes to a file or a pipe never has any.
    out: (text) => {
      // Before the text is disarmed: without its colors, a line may begin with a command to a CI system.
      const plain = stdout.isTTY === true ? text : stripVTControlCharacters(text)
      stdout.write(disarm(redact(plain), hasColors))
    },
    error: (text) => void stderr.write(disarm(redact(text), hasColors)),
    eraseLine: () => void stderr.write('\r\u001b[K'),
    colors: picocolors.createColors(hasColors),
    isLive,
    columns: () => stderr.columns ?? 100,
  }
}

/** Writes a warning to stderr. */
export function warn({ error, colors }: Pick<Terminal, 'error' | 'colors'>, text: string): void {
  error(`${colors.yellow('!')} ${text}\n`)
}

/** A reporter that prints every event as a line of JSON on stdout. */
export function reportAsJson({ out }: Pick<Terminal, 'out'>): Reporter {
  return { emit: (event) => out(`${JSON.stringify(event)}\n`), close: () => undefined }
}

/** A progress reporter for this terminal. */
export function reportTo(terminal: Terminal, outFolder: string): Reporter {
  return createTerminalReporter({
    write: terminal.error,
    eraseLine: terminal.eraseLine,
    outFolder: relative(process.cwd(), outFolder) || '.',
    isLive: terminal.isLive,
    columns: terminal.columns(),
    colors: terminal.colors,
    nowMs: () => performance.now(),
  })
}

/** The terminal as verbs see it: results go to stdout, everything else to stderr. */

import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { Command } from 'commander'
import picocolors from 'picocolors'
import { redact } from '../redact.ts'
import type { Colors } from '../report/format.ts'
import { disarm } from '../text.ts'
import { type LiveLine, openLiveLine } from './views/live-line.ts'
import { createTerminalReporter, type Reporter } from './views/progress.ts'

export interface Terminal {
  /** Writes a result to stdout. Escapes text from outside that could control a terminal or a CI system. */
  readonly out: (text: string) => void
  /** Writes anything else to stderr, with the same escaping. */
  readonly error: (text: string) => void
  /** Replaces the last `count` lines on stderr with other text, with the same escaping. */
  readonly replaceLines: (count: number, text: string) => void
  readonly colors: Colors
  /** Whether lines on stderr can be redrawn. */
  readonly isLive: boolean
  /** Whether several lines can be redrawn: a terminal without colors is not treated as a screen to draw on. */
  readonly hasBoard: boolean
  readonly columns: () => number
  readonly rows: () => number
}

/** Respects NO_COLOR and CI; only a terminal gets colors and live lines. Removes credentials from everything written. */
export function createTerminal({ stdout, stderr, env }: NodeJS.Process): Terminal {
  const isTerminal = stderr.isTTY === true && env.TERM !== 'dumb'
  const isLive = isTerminal && (env.CI ?? '') === ''
  const hasColors = isTerminal && (env.NO_COLOR ?? '') === ''
  return {
    // stderr decides whether there are colors; a result written to a file or a pipe never has any.
    out: (text) => {
      // Must precede `disarm`: without its colors, a line may start with a command to a CI system.
      const plain = stdout.isTTY === true ? text : stripVTControlCharacters(text)
      stdout.write(disarm(redact(plain), hasColors))
    },
    error: (text) => void stderr.write(disarm(redact(text), hasColors)),
    // In a single write, to avoid flicker.
    replaceLines: (count, text) => void stderr.write(`${erase(count)}${disarm(redact(text), hasColors)}`),
    colors: picocolors.createColors(hasColors),
    isLive,
    hasBoard: isLive && hasColors,
    columns: () => stderr.columns ?? 100,
    rows: () => stderr.rows ?? 24,
  }
}

/** Moves the cursor to the start of the last `count` lines and clears them. */
function erase(count: number): string {
  if (count === 0) return ''
  return count === 1 ? '\r\u001b[K' : `\r\u001b[${count - 1}A\u001b[J`
}

export function warn({ error, colors }: Pick<Terminal, 'error' | 'colors'>, text: string): void {
  error(`${colors.yellow('!')} ${text}\n`)
}

export interface UiOptions {
  /** False after `--no-ui`. */
  readonly ui?: boolean
}

export function addUiOption(command: Command): Command {
  return command.option('--no-ui', 'show progress in a single line')
}

/** A reporter that prints every event as a line of JSON on stdout. */
export function reportAsJson({ out }: Pick<Terminal, 'out'>): Reporter {
  return {
    // Only the latest load of the guest is of interest.
    emit: (event) => (event.kind === 'guest-load' ? undefined : out(`${JSON.stringify(event)}\n`)),
    aside: (write) => write(),
    close: () => undefined,
  }
}

/** The live line of this terminal. */
export function liveLineOf(terminal: Terminal): LiveLine {
  return openLiveLine({
    write: terminal.error,
    replaceLines: terminal.replaceLines,
    isLive: terminal.isLive,
    hasBoard: false,
    columns: terminal.columns,
    rows: terminal.rows,
    colors: terminal.colors,
    nowMs: () => performance.now(),
  })
}

/**
 * A progress reporter for this terminal.
 * @param ui whether it may use several lines to show what is running
 */
export function reportTo(terminal: Terminal, outFolder: string, { ui = false }: UiOptions = {}): Reporter {
  return createTerminalReporter({
    write: terminal.error,
    replaceLines: terminal.replaceLines,
    outFolder: relative(process.cwd(), outFolder) || '.',
    isLive: terminal.isLive,
    hasBoard: ui && terminal.hasBoard,
    columns: terminal.columns,
    rows: terminal.rows,
    colors: terminal.colors,
    nowMs: () => performance.now(),
  })
}

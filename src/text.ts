/** Untrusted text: from a guest, a registry, a mirror, a file or its name. */

import { z } from 'zod'

/**
 * Characters that show nothing, or control a terminal. Unicode classifies some blank ones as letters and symbols: in Hangul,
 * Khmer and Braille.
 */
const invisible = String.raw`\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0`

/** A line with a maximum number of characters, none of them invisible or able to control a terminal. */
export function lineOf(maximum: number): z.ZodString {
  return z.string().max(maximum).regex(lineOnly)
}

const lineOnly = new RegExp(`^[^${invisible}]*$`, 'u')

/** A relative path that stays below its folder, and that no program mistakes for an option. */
export const pathBelow = z
  .string()
  .max(4096)
  .regex(new RegExp(`^(?![-/])(?!(.*\\/)?\\.\\.?(\\/|$))[^${invisible}]+$`, 'u'))

/** The colors that views use. Others could hide text, as black does on most terminals. */
const colors = '\\u001b\\[(?:0|1|2|3[1-69]|22)m'

const shown = new RegExp(`${colors}|[${invisible}]`, 'gu')

/**
 * What begins a command to a CI system: GitHub's at the start of a line, after optional whitespace; GitHub's older form,
 * Azure's and TeamCity's anywhere in a line.
 */
const commands = /^([^\S\n\r\u2028\u2029]*):(?=:)|#(?=#\w{0,99}\[)/gm

/**
 * A text that can neither move a terminal's cursor nor give commands to a CI system. Line feeds and tabs stay; other
 * invisible characters become escapes, which mean the same characters in a JSON string.
 */
export function disarm(text: string, mayHaveColors: boolean): string {
  return showInvisible(text, mayHaveColors).replace(commands, (found, space: string | undefined) =>
    found === '#' ? escapeUnit(found) : `${space ?? ''}${escapeUnit(':')}`,
  )
}

/** A text in which invisible characters, except line feeds and tabs, are escaped as in JSON. */
export function showInvisible(text: string, mayHaveColors = false): string {
  return text.replace(shown, (found) => {
    if (found === '\n' || found === '\t') return found
    if (!found.startsWith('\u001b[')) return found.split('').map(escapeUnit).join('')
    return mayHaveColors ? found : `${escapeUnit('\u001b')}${found.slice(1)}`
  })
}

/** An untrusted text as part of one of our lines: on a line of its own, it could pass for one of ours. */
export function inOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

/** A position in a text that a person wrote. */
export interface Place {
  /** From 1, like the column. */
  readonly line: number
  readonly column: number
  /** The whole line; empty if it must not be shown. */
  readonly text: string
  /** Number of characters that are meant. */
  readonly length: number
}

const mostShown = 100

/** The position in the form that editors open, with the line below it and the meant part underlined. */
export function renderPlace(file: string, { line, column, text, length }: Place, indent = '  '): string {
  const at = `${indent}${file}:${line}:${column}`
  if (text === '') return at
  const from = Math.max(0, Math.min(column - 1 - mostShown / 2, text.length - mostShown))
  const shown = text.slice(from, from + mostShown)
  const before = shown.slice(0, column - 1 - from)
  const marks = '^'.repeat(Math.max(1, Math.min(length, shown.length - before.length)))
  // Tabs stay, so that the marks are below what they refer to.
  return `${at}\n${indent}  ${shown}\n${indent}  ${before.replaceAll(/[^\t]/g, ' ')}${marks}`
}

/** One UTF-16 code unit as JSON would write it. */
function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** What tar and the programs that it runs print in addition to the reason. */
const besides =
  /Child returned status|Error is not recoverable|Exiting with failure status|Removing leading|A lone zero block/

/**
 * The line that says why a program failed: the first, since the lines after it are mostly consequences. Empty if there is
 * none.
 */
export function reasonIn(complaints: string): string {
  const lines = complaints
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return lines.find((line) => !besides.test(line)) ?? lines[0] ?? ''
}

/**
 * The value of a JSON text; undefined if it is not JSON, or truncated.
 * @param revise called for every text in it
 */
export function parseJson(text: string, revise?: (text: string) => string): unknown {
  try {
    if (revise === undefined) return JSON.parse(text)
    return JSON.parse(text, (_key, value) => (typeof value === 'string' ? revise(value) : value))
  } catch {
    return undefined
  }
}

/** Texts from a report, as a page shows them. */

import { showInvisible } from '../text.ts'

/** Longer texts would bury the rest of a page; the report has them in full. */
const mostCharacters = 4000

/** A value in which every text is made visible and cut to a limit. */
export function presentable<Value>(value: Value): Value {
  if (typeof value === 'string') return shorten(showInvisible(value)) as Value
  if (Array.isArray(value)) return value.map(presentable) as Value
  if (typeof value !== 'object' || value === null) return value
  const shown = Object.entries(value).map(([key, inner]) => [presentable(key), presentable(inner)])
  return Object.fromEntries(shown) as Value
}

/** `1 check`, `3 checks`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

/** `a`, `a and b`, `a, b and c`. */
export function join(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

/** `28 November 2026, 14:22 UTC`; a text that is not an instant is returned as it is. */
export function formatInstant(iso: string): string {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return iso
  const day = at.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  })
  return `${day}, ${at.toISOString().slice(11, 16)} UTC`
}

/** `12.5%`, for coordinates in SVG. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))}%`
}

// --- internal ---

function shorten(text: string): string {
  const more = text.length - mostCharacters
  return more <= 0 ? text : `${text.slice(0, mostCharacters)}… (${more} more characters in the report)`
}

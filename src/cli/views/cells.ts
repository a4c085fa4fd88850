/** Text measured in the cells of a terminal. */

import stringWidth from 'string-width'
import { cleanText } from '../../qemu/console.ts'
import { redact } from '../../redact.ts'
import { disarm } from '../../text.ts'

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** The number of cells that a text without control sequences occupies. Han and most emoji take two. */
export const widthOf = (text: string): number => stringWidth(text)

/** Code units of a character: most have one or two, and a family of four with skin tones nineteen. */
const mostUnits = 24

/** Cuts a text to at most `cells` cells, never inside a character. */
export function cutToWidth(text: string, cells: number): string {
  // Measuring takes a second for 50,000 characters, and a guest can print a million in one line.
  const start = text.slice(0, Math.max(1, cells) * mostUnits)
  if (start === text && widthOf(text) <= cells) return text
  let cut = ''
  let left = cells - 1
  for (const { segment } of graphemes.segment(start)) {
    left -= widthOf(segment)
    if (left < 0) break
    cut += segment
  }
  return cells < 1 ? '' : `${cut}…`
}

/**
 * A guest's text as one line, exactly as the terminal will show it: escaped and cleaned before it is measured. A guest can
 * print anything, even sequences that move the cursor.
 */
export function oneLine(text: string): string {
  return disarm(redact(cleanText(text).replaceAll(/\p{Cc}+/gu, ' ')), false)
}

const bars = '▁▂▃▄▅▆▇█'

/** Values from 0 to 1 as small bars. */
export function sparkline(values: readonly number[]): string {
  return values
    .map((value) => bars[Math.min(bars.length - 1, Math.max(0, Math.floor(value * bars.length)))])
    .join('')
}

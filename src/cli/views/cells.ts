/** Text measured in the cells of a terminal. */

import stringWidth from 'string-width'
import { cleanText } from '../../qemu/console.ts'
import { redact } from '../../redact.ts'
import { disarm } from '../../text.ts'

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** How many cells a text without control sequences takes. Han and most emoji take two. */
export const widthOf = (text: string): number => stringWidth(text)

/** As much of the beginning of a text as fits into so many cells; never half of a character. */
export function cutToWidth(text: string, cells: number): string {
  if (widthOf(text) <= cells) return text
  let cut = ''
  let left = cells - 1
  for (const { segment } of graphemes.segment(text)) {
    left -= widthOf(segment)
    if (left < 0) break
    cut += segment
  }
  return cells < 1 ? '' : `${cut}…`
}

/**
 * A text from a guest on one line, as the terminal will show it: what is escaped or taken out there is so before it is
 * measured. A guest may print anything, even what moves the cursor.
 */
export function oneLine(text: string): string {
  return disarm(redact(cleanText(text).replaceAll(/\p{Cc}+/gu, ' ')), false)
}

const bars = '▁▂▃▄▅▆▇█'

/** Values as small bars, each from 0 to 1. */
export function sparkline(values: readonly number[]): string {
  return values
    .map((value) => bars[Math.min(bars.length - 1, Math.max(0, Math.floor(value * bars.length)))])
    .join('')
}

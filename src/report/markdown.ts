/** Tables and numbers in GitHub's Markdown. */

import { formatBytes } from './format.ts'

/** A table. A bar in a cell would end the cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** A text from outside as one line, which is shown and makes no link, picture, code or HTML. */
export function plain(text: string): string {
  return inOneLine(text).replace(/[\\`*[\]<>&]/g, '\\$&')
}

/** A text as code in a line, with a fence that is longer than any in it. */
export function code(written: string): string {
  const text = inOneLine(written)
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([fence]) => fence.length))
  const fence = '`'.repeat(longest + 1)
  return longest === 0 ? `${fence}${text}${fence}` : `${fence} ${text} ${fence}`
}

/** `, 1.2 MiB more`; empty if there is no difference. */
export function describeDelta(before: number | undefined, after: number): string {
  if (before === undefined) return ', new'
  if (before === after) return ''
  return `, ${formatBytes(Math.abs(after - before))} ${after > before ? 'more' : 'less'}`
}

// --- internal ---

/** A line below could begin with the mark of a heading or a list. */
function inOneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ')
}

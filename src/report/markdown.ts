/** Tables and numbers in GitHub's Markdown. */

import { inOneLine, showInvisible } from '../text.ts'
import { formatBytes } from './format.ts'

/** A table. A bar in a cell would end the cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** A text from outside as one line, which is shown and makes no link, picture, code, emphasis, mention or HTML. */
export function plain(text: string): string {
  const words = asLine(text).split(' ')
  return (
    words
      .map((word) => (meansMore.test(word.replace(instant, '')) ? code(word) : escapeSigns(word)))
      .join(' ')
      .replace(blockMark, '\\$&')
      // It could make a table of the line above. In a table of ours, a backslash before it would itself be escaped.
      .replace(/^\|/, '&#124;')
  )
}

/** A text as code in a line, with a fence that is longer than any in it. */
export function code(written: string): string {
  const text = asLine(written)
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

/** GitHub takes a summary of one MiB, and none of a longer one. */
const mostCharacters = 2000

function asLine(text: string): string {
  const line = inOneLine(showInvisible(text))
  return line.length > mostCharacters ? `${line.slice(0, mostCharacters)}…` : line
}

/** What GitHub makes links, mentions, formulas or pictures of, also where its signs are escaped: only code is left alone. */
const meansMore = /[@#$]|:\S|www\.|^gh-\d/i

/** A time has colons, and is only a time. */
const instant = /\d{4}-\d\d-\d\dT[\d:.]+Z/

/** What would begin a list, or make a heading of the line above. */
const blockMark = /^[-+=]|(?<=^\d+)[.)](?= |$)/

/** `_` is a sign only at the edge of a word; `~` strikes out whatever is between two of them, as in lists of versions. */
function escapeSigns(word: string): string {
  return word.replace(/[\\`*[\]<>&~]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\$&')
}

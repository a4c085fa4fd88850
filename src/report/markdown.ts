/** Tables and numbers in GitHub's Markdown. */

import { inOneLine, showInvisible } from '../text.ts'
import { formatBytes } from './format.ts'

/** A table. A pipe character in a cell would end the cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** An untrusted text as one line, shown literally: it makes no link, picture, code, emphasis, mention or HTML. */
export function plain(text: string): string {
  const words = asLine(text).split(' ')
  return (
    words
      .map((word) => (meansMore.test(word.replace(instant, '')) ? code(word) : escapeSigns(word)))
      .join(' ')
      .replace(blockMark, '\\$&')
      // It could turn the line above into a table header. In one of our tables, a backslash before it would itself be
      // escaped.
      .replace(/^\|/, '&#124;')
  )
}

/** A text as inline code, with a fence that is longer than any in it. */
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

/** GitHub accepts a summary of up to one MiB, and drops a longer one. */
const mostCharacters = 2000

function asLine(text: string): string {
  const line = inOneLine(showInvisible(text))
  return line.length > mostCharacters ? `${line.slice(0, mostCharacters)}…` : line
}

/** What GitHub turns into links, mentions, formulas or pictures even if its characters are escaped: only code is left alone. */
const meansMore = /[@#$]|:\S|www\.|^gh-\d/i

/** A timestamp contains colons, but is not one of these. */
const instant = /\d{4}-\d\d-\d\dT[\d:.]+Z/

/** What would begin a list, or turn the line above into a heading. */
const blockMark = /^[-+=]|(?<=^\d+)[.)](?= |$)/

/** `_` has a meaning only at the edge of a word; `~` strikes out whatever is between two of them, as in lists of versions. */
function escapeSigns(word: string): string {
  return word.replace(/[\\`*[\]<>&~]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\$&')
}

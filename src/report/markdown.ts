/** Tables and numbers in GitHub's Markdown. */

import { formatBytes } from './format.ts'

/** A table. A bar in a cell would end the cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** `, 1.2 MiB more`; empty if there is no difference. */
export function describeDelta(before: number | undefined, after: number): string {
  if (before === undefined) return ', new'
  if (before === after) return ''
  return `, ${formatBytes(Math.abs(after - before))} ${after > before ? 'more' : 'less'}`
}

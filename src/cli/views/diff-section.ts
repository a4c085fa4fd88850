/** Sections of a difference, and how much of each to show. */

import type { Colors } from '../../report/format.ts'

export interface RenderOptions {
  readonly colors: Colors
  /** Show everything. */
  readonly isFull: boolean
}

export interface Section {
  readonly title: string
  readonly lines: readonly string[]
}

/** How many lines to show by default: per list, per file's content, of all contents, of folders. */
export const limits = { rows: 30, fileLines: 40, lines: 400, folders: 12 } as const

/** The first lines, and how many were left out. */
export function cut(
  lines: readonly string[],
  count: number,
  { isFull, colors }: RenderOptions,
): readonly string[] {
  if (isFull || lines.length <= count) return lines
  return [...lines.slice(0, count), colors.dim(`… ${lines.length - count} more; --full shows all`)]
}

/** `3 added, 1 changed`; empty if all are 0. */
export function tally(numbers: Readonly<Record<string, number>>): string {
  return Object.entries(numbers)
    .flatMap(([word, number]) => (number > 0 ? `${number} ${word}` : []))
    .join(', ')
}

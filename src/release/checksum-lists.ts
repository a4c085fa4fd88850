/** The lists of sums of a release. */

import type { algorithms, Checksums } from '../export/checksums.ts'

/** A list in GNU format, in the order of names: there is one text for the same files. */
export function renderSums(
  sums: ReadonlyMap<string, Checksums>,
  algorithm: (typeof algorithms)[number],
): string {
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, sum]) => `${sum[algorithm]}  ${name}\n`)
    .join('')
}

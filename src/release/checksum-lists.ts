/** The checksum lists of a release. */

import type { algorithms, Checksums } from '../export/checksums.ts'

/** A list in GNU format, sorted by name: the same files always give the same text. */
export function renderSums(
  sums: ReadonlyMap<string, Checksums>,
  algorithm: (typeof algorithms)[number],
): string {
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, sum]) => `${sum[algorithm]}  ${name}\n`)
    .join('')
}

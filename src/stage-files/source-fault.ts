/** What is wrong with a source of files that is written correctly. */

import { formatBytes } from '../report/format.ts'

export class SourceFault extends Error {}

/** Size limit for a single file of a source. CloudStack's entire sources have 60 MB, and a sparse file may claim terabytes. */
export const mostFileBytes = 2 * 1024 ** 3

/** What is wrong with a file's size; undefined if nothing. */
export function faultOfSize(sizeBytes: number): string | undefined {
  return sizeBytes > mostFileBytes
    ? `${formatBytes(sizeBytes)}; the limit is ${formatBytes(mostFileBytes)}`
    : undefined
}

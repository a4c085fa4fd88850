/** What is wrong with a source of files whose notation is fine. */

import { formatBytes } from '../report/format.ts'

export class SourceFault extends Error {}

/** Most bytes of any one file of a source. CloudStack's whole sources have 60 MB, and a sparse file may seem to have terabytes. */
export const mostFileBytes = 2 * 1024 ** 3

/** What is wrong with a file's size; undefined if nothing. */
export function faultOfSize(sizeBytes: number): string | undefined {
  return sizeBytes > mostFileBytes
    ? `${formatBytes(sizeBytes)}, where ${formatBytes(mostFileBytes)} are the most`
    : undefined
}

/** The checksums of a release's files, each read once. */

import { join } from 'node:path'
import { type Checksums, computeChecksums } from '../export/checksums.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { findOddSizes } from './file-sizes.ts'
import type { Blame, ReleaseRecord } from './record.ts'

/** Stands for a file that is not read. */
const unread: Checksums = { md5: '', sha256: '', sha512: '' }

/** Checksums by file name; empty for a file that is blamed for its size. */
export async function computeReleaseChecksums(
  folder: string,
  names: readonly string[],
  record: ReleaseRecord | undefined,
  blame: Blame,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Checksums>> {
  const odd = await findOddSizes(folder, names, record)
  for (const [name, fault] of odd) blame(name, `it ${fault}`)
  const checksums = await someAtATime(names, async (name) => {
    if (odd.has(name)) return [name, unread] as const
    return [name, await computeChecksums(join(folder, name), signal)] as const
  })
  return new Map(checksums)
}

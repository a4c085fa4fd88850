/** The checksums of a release's files, each read once. */

import { join } from 'node:path'
import { type Checksums, computeChecksums } from '../export/checksums.ts'
import { registeredAlgorithm } from '../export/registration.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { findOddSizes } from './file-sizes.ts'
import type { Blame, ReleaseImage, ReleaseRecord } from './record.ts'

/** Of a file that is not read. */
const unread: Checksums = { md5: '', sha256: '', sha512: '' }

/** Checksums by file name; those of a file that is blamed for its size are empty. */
export async function computeReleaseChecksums(
  folder: string,
  names: readonly string[],
  record: ReleaseRecord | undefined,
  blame: Blame,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Checksums>> {
  const odd = await findOddSizes(folder, names, record)
  for (const [name, fault] of odd) blame(name, `it ${fault}`)
  const known = new Map(
    record === undefined || registeredAlgorithm(record) === 'md5'
      ? []
      : record.variants.flatMap(({ files }) => files.map((file) => [file.file, file] as const)),
  )
  const checksums = await someAtATime(names, async (name) => {
    if (odd.has(name)) return [name, unread] as const
    return [name, await computeFileChecksums(join(folder, name), known.get(name), signal)] as const
  })
  return new Map(checksums)
}

/**
 * Checksums of one file. Computing an md5 takes as long as both others, and proves nothing beside them: the md5 of an image
 * that CloudStack does not register by it is the record's, if the others are.
 */
export async function computeFileChecksums(
  path: string,
  known: Pick<ReleaseImage, keyof Checksums> | undefined,
  signal: AbortSignal,
): Promise<Checksums> {
  if (known === undefined) return computeChecksums(path, signal)
  const strong = await computeChecksums(path, signal, ['sha256', 'sha512'])
  if (strong.sha256 === known.sha256 && strong.sha512 === known.sha512) return { ...strong, md5: known.md5 }
  return { ...strong, ...(await computeChecksums(path, signal, ['md5'])) }
}

/** The checksums of a release's files, each read once. */

import { join } from 'node:path'
import { type Checksums, computeChecksums } from '../export/checksums.ts'
import { registeredAlgorithm } from '../export/registration.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import type { ReleaseImage, ReleaseRecord } from './record.ts'

/** Checksums by file name. */
export async function computeReleaseChecksums(
  folder: string,
  names: readonly string[],
  record: ReleaseRecord | undefined,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Checksums>> {
  const known = new Map(
    record === undefined || registeredAlgorithm(record) === 'md5'
      ? []
      : record.variants.flatMap(({ files }) => files.map((file) => [file.file, file] as const)),
  )
  const checksums = await someAtATime(
    names,
    async (name) => [name, await computeFileChecksums(join(folder, name), known.get(name), signal)] as const,
  )
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

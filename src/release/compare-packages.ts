/** Compares the package set of a release with its record. The files themselves are in the checksum lists. */

import { join } from 'node:path'
import { openPackageSet, setFile } from '../debian/package-set.ts'
import { PipelineError } from '../errors.ts'
import type { Checksums } from '../export/checksums.ts'
import { type Blame, packagesFolder, type ReleaseRecord } from './record.ts'

/**
 * Blames a set that does not match the record, or is not consistent in itself. If the record has no set, blames every file of
 * one.
 */
export async function comparePackageSet(
  folder: string,
  { packageSet }: ReleaseRecord,
  checksums: ReadonlyMap<string, Checksums>,
  blame: Blame,
  signal: AbortSignal,
): Promise<void> {
  const list = `${packagesFolder}/${setFile}`
  if (packageSet === undefined) {
    for (const name of checksums.keys())
      if (name.startsWith(`${packagesFolder}/`)) blame(name, 'the release has no package set')
    return
  }
  if (checksums.get(list)?.sha256 !== packageSet) {
    blame(list, checksums.has(list) ? 'it is not the list that the record names' : 'it is missing')
    return
  }
  try {
    await openPackageSet(join(folder, packagesFolder), signal)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    blame(list, error.message)
  }
}

/** Size limits for the files of a release: a sparse file costs its sender nothing at any size, and takes hours to read. */

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readSetSizes } from '../debian/package-set.ts'
import { mostIndexBytes } from '../debian/packages-index.ts'
import { packagesFolder, type ReleaseRecord } from './record.ts'

/** Texts, lists, SBOMs and indexes: nothing else in a release is larger. */
const mostOtherBytes = mostIndexBytes

/**
 * What is wrong with the sizes of files, by name, e.g. `has 1 bytes`: images and packages must have the size in their record;
 * others have a limit.
 */
export async function findOddSizes(
  folder: string,
  names: readonly string[],
  record: ReleaseRecord | undefined,
): Promise<ReadonlyMap<string, string>> {
  const images = record?.variants.flatMap(({ files }) => files) ?? []
  const packages = names.some((name) => name.startsWith(`${packagesFolder}/`))
    ? await readSetSizes(join(folder, packagesFolder))
    : []
  const expected = new Map([
    ...images.map(({ file, sizeBytes }) => [file, sizeBytes] as const),
    ...[...packages].map(([name, sizeBytes]) => [`${packagesFolder}/${name}`, sizeBytes] as const),
  ])
  const faults = new Map<string, string>()
  for (const name of names) {
    const { size } = await stat(join(folder, name))
    const wanted = expected.get(name)
    if (wanted !== undefined && size !== wanted)
      faults.set(name, `has ${size} bytes, but ${wanted} according to the record`)
    if (wanted === undefined && size > mostOtherBytes)
      faults.set(name, `has ${size} bytes, but no file of its kind may have more than ${mostOtherBytes}`)
  }
  return faults
}

/** Image files in the layout of CloudStack's servers and their mirrors: `<repository>/<major.minor>/<file>`. */

import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { repositoryFolder } from '../config/release.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { linkOrCopy, makeFolder } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import type { ImageResult } from '../report/report.ts'
import { writeChecksums } from './checksums.ts'
import { writeMetadata } from './metadata.ts'

/** Puts an image's files and their checksums into the folder of its release, replacing earlier ones. */
export async function writeRepository(
  outFolder: string,
  image: ResolvedImage,
  results: readonly ImageResult[],
  signal: AbortSignal,
): Promise<void> {
  const folder = join(outFolderAt(outFolder).repository, repositoryFolder(image.release))
  await makeFolder(folder)
  const former = (await readdir(folder)).filter((name) => name.startsWith(`${image.fileName}-`))
  // A package build matches checksum lines by a part of the name, and would find two if another form of the file remained.
  for (const name of former) await rm(join(folder, name))
  for (const result of results) {
    const file = join(folder, basename(result.path))
    await linkOrCopy(join(outFolder, result.path), file, signal)
    await writeChecksums(file, result)
  }
  await writeMetadata(folder, image, results)
}

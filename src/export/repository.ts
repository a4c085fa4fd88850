/** Image files in the layout of CloudStack's servers and their mirrors: `<repository>/<major.minor>/<file>`. */

import { mkdir, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { repositoryFolder } from '../config/release.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { linkOrCopy } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import type { ImageResult } from '../report/report.ts'
import { writeChecksums } from './checksums.ts'
import { writeMetadata } from './metadata.ts'

/** Puts an image's files into its release's folder, with their checksums, replacing its earlier ones. */
export async function writeRepository(
  outFolder: string,
  image: ResolvedImage,
  results: readonly ImageResult[],
  signal: AbortSignal,
): Promise<void> {
  const folder = join(outFolderAt(outFolder).repository, repositoryFolder(image.release))
  await mkdir(folder, { recursive: true })
  const former = (await readdir(folder)).filter((name) => name.startsWith(`${image.fileName}-`))
  // A package build matches checksum lines by part of the name: with another form of the same file it would find two.
  for (const name of former) await rm(join(folder, name))
  for (const result of results) {
    const file = join(folder, basename(result.path))
    await linkOrCopy(join(outFolder, result.path), file, signal)
    await writeChecksums(file, result)
  }
  await writeMetadata(folder, image, results)
}

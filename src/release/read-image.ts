/** The packages in an image file, as its own dpkg lists them. */

import { type Package, readPackages } from '../debian/dpkg-status.ts'
import { openDisk } from '../disk/disk-files.ts'
import { formatByEnding } from '../disk/disk-format.ts'
import { unpackArchive } from '../disk/unpack.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { targetNames } from '../targets/registry.ts'

/** The file of a variant that is fastest to read: all contain the same disk. */
export function chooseReadable<File extends { readonly target: string }>(
  files: readonly File[],
): File | undefined {
  const order: readonly string[] = targetNames
  return [...files].sort((a, b) => order.indexOf(a.target) - order.indexOf(b.target))[0]
}

/** Packages sorted by name. Boots nothing. @throws PipelineError `disk-unreadable`, `no-space`, `tools` */
export async function readImagePackages(file: string, signal: AbortSignal): Promise<readonly Package[]> {
  return inWorkFolder(async (workFolder) => {
    const isPlain = formatByEnding(file) !== undefined
    const plain = isPlain ? file : await unpackArchive(file, workFolder, signal)
    const disk = await openDisk(plain, { format: formatByEnding(plain), workFolder, signal })
    try {
      const packages = await readPackages(disk)
      return [...packages.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    } finally {
      await disk.close()
    }
  })
}

/** Requires that all files of a variant hold the same disk, whatever their formats. */

import { join } from 'node:path'
import type { BlockNode } from '../disk/block-node.ts'
import { formatByEnding } from '../disk/disk-format.ts'
import { inspectImageFile } from '../disk/image-file.ts'
import { compareImages } from '../disk/qemu-img.ts'
import { unpackArchive } from '../disk/unpack.ts'
import { isHostFault, messageOf } from '../errors.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import type { Blame, ReleaseImage } from './record.ts'

/**
 * Without it a package list read from one file would say nothing about the others. Formats round the size up, so zeros at
 * the end do not count.
 */
export async function compareDisks(
  folder: string,
  files: readonly ReleaseImage[],
  blame: Blame,
  signal: AbortSignal,
): Promise<void> {
  // The largest is not compressed, or the least, so that it is fast to read again and again.
  const [reference, ...others] = [...files].sort((one, other) => other.sizeBytes - one.sizeBytes)
  if (reference === undefined || others.length === 0) return
  await inWorkFolder(async (workFolder) => {
    const open = async (name: string) =>
      openPlain(join(folder, name), workFolder, signal).catch((error: unknown) => {
        signal.throwIfAborted()
        if (isHostFault(error)) throw error
        blame(name, firstLine(error))
      })
    const first = await open(reference.file)
    if (first === undefined) return
    for (const { file } of others) {
      const other = await open(file)
      if (other === undefined) continue
      await compareImages(first, other, signal).catch((error: unknown) => {
        signal.throwIfAborted()
        if (isHostFault(error)) throw error
        blame(file, `its disk is not the one in ${reference.file}: ${firstLine(error)}`)
      })
    }
  })
}

// --- internal ---

const firstLine = (error: unknown) => messageOf(error).split('\n')[0] ?? ''

/** By its name, since the content is up to the author of the file. */
async function openPlain(file: string, workFolder: string, signal: AbortSignal): Promise<BlockNode> {
  const plain = formatByEnding(file) === undefined ? await unpackArchive(file, workFolder, signal) : file
  return (await inspectImageFile(plain, { format: formatByEnding(plain) ?? 'raw', signal })).node
}

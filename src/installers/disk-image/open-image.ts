/** Opens an untrusted disk image: its first bytes determine its format, and it may have no backing file. */

import { locateDisk } from '../../disk/disk-source.ts'
import { type ImageFile, inspectImageFile } from '../../disk/image-file.ts'
import { unpackArchive } from '../../disk/unpack.ts'
import { unreadableDisk } from '../../disk/unreadable.ts'

/** @param folder where an archive is unpacked to @throws PipelineError `disk-unreadable`, `tools` */
export async function openImageFile(file: string, folder: string, signal: AbortSignal): Promise<ImageFile> {
  const unpacked = await unpackArchive(file, folder, signal)
  await locateDisk(unpacked)
  const image = await inspectImageFile(unpacked, undefined, signal)
  if (image.files.length === 1) return image
  const others = image.files.filter((path) => path !== unpacked)
  throw unreadableDisk(
    `the disk image ${file} has backing files: ${others.join(', ')}`,
    undefined,
    'give an image that holds all of its disk: qemu-img convert makes one.',
  )
}

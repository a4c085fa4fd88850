/** Opens a disk image that others have made: its format is judged by what it begins with, and it may stand on no other file. */

import { type DiskFormat, locateDisk } from '../../disk/disk-source.ts'
import { type ImageFile, inspectImageFile, unreadableDisk } from '../../disk/image-file.ts'
import { unpackArchive } from '../../disk/unpack.ts'

/** @param folder where an archive is unpacked to @throws PipelineError `image-unreadable`, `disk-unreadable`, `tools` */
export async function openImageFile(file: string, folder: string, signal: AbortSignal): Promise<ImageFile> {
  const unpacked = await unpackArchive(file, folder, signal)
  const { format } = await locateDisk(unpacked)
  const image = await inspectImageFile(unpacked, qemuFormats[format], signal)
  if (image.files.length === 1) return image
  const others = image.files.filter((path) => path !== unpacked)
  throw unreadableDisk(
    `the disk image ${file} stands on other files: ${others.join(', ')}`,
    undefined,
    'give an image that holds all of its disk: qemu-img convert makes one.',
  )
}

const qemuFormats: Readonly<Record<DiskFormat, string>> = {
  qcow2: 'qcow2',
  vhd: 'vpc',
  vhdx: 'vhdx',
  vmdk: 'vmdk',
  ova: 'ova',
  raw: 'raw',
}

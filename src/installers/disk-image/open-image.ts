/** Opens an untrusted disk image: its first bytes determine its format, and it must not refer to another file. */

import { locateDisk } from '../../disk/disk-source.ts'
import { type ImageFile, inspectImageFile } from '../../disk/image-file.ts'
import { unpackArchive } from '../../disk/unpack.ts'

/** @param folder where archives are unpacked @throws PipelineError `disk-unreadable`, `disk-refers-elsewhere`, `tools` */
export async function openImageFile(file: string, folder: string, signal: AbortSignal): Promise<ImageFile> {
  const unpacked = await unpackArchive(file, folder, signal)
  const { format } = await locateDisk(unpacked, { signal })
  return inspectImageFile(unpacked, { format, signal })
}

/** Decides whether a file in no known format is a disk at all. */

import { PipelineError } from '../errors.ts'
import type { ImageFile } from './image-file.ts'
import { readPartitions } from './partitions.ts'
import { requireInspectionTools } from './tools.ts'
import { unreadableDisk } from './unreadable.ts'

/**
 * For QEMU, any file is a raw disk. Here it must have a partition table or a file system.
 * @param folder for a copy of the disk's first and last MiB
 * @throws PipelineError `disk-unreadable`, `tools`
 */
export async function requireRawDisk(image: ImageFile, folder: string, signal: AbortSignal): Promise<void> {
  await requireInspectionTools()
  try {
    await readPartitions(image, folder, signal)
  } catch (cause) {
    if (!(cause instanceof PipelineError) || cause.code !== 'disk-unreadable') throw cause
    throw unreadableDisk(
      `cannot read ${image.path} as a raw disk: ${cause.message}`,
      cause,
      'give a qcow2, VHD, VHDX, VMDK, OVA or raw disk, or an archive of one; --raw accepts any file as a disk.',
    )
  }
}

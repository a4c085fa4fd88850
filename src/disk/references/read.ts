/** Reads which other files an image file needs for parts of its disk, before QEMU could open them. */

import { messageOf } from '../../errors.ts'
import { openToRead } from '../../host/regular-file.ts'
import type { Stretch } from '../block-node.ts'
import type { DiskFormat } from '../disk-format.ts'
import { unreadableDisk } from '../unreadable.ts'
import { readQcow2References } from './qcow2.ts'
import { type Reference, readerOf } from './reference.ts'
import { readVhdReferences } from './vhd.ts'
import { readVhdxReferences } from './vhdx.ts'
import { readVmdkReferences } from './vmdk.ts'

/** @param place of the image, if it is only a part of the file @throws PipelineError `disk-unreadable` */
export async function readReferences(
  path: string,
  format: Exclude<DiskFormat, 'ova'>,
  place?: Stretch,
): Promise<readonly Reference[]> {
  const file = await openToRead(path).catch((cause) => {
    throw unreadableDisk(`cannot read the disk ${path}: ${messageOf(cause)}`, cause)
  })
  try {
    const whole = place ?? { offset: 0, sizeBytes: (await file.stat()).size }
    const read = readerOf(file, whole)
    switch (format) {
      case 'qcow2':
        return await readQcow2References(read)
      case 'vmdk':
        return await readVmdkReferences(read)
      case 'vhd':
        return await readVhdReferences(read, whole.sizeBytes)
      case 'vhdx':
        return await readVhdxReferences(read)
      case 'raw':
        return []
      default:
        return format satisfies never
    }
  } finally {
    await file.close()
  }
}

/** Reads files of a CD image without mounting it: just enough of ISO 9660 for a kernel and an initrd. */

import type { FileHandle } from 'node:fs/promises'
import { openToRead } from '../../host/regular-file.ts'

const blockBytes = 2048
/** The primary volume descriptor; the sixteen blocks before it are reserved for boot code. */
const descriptorBlock = 16
/** Enough for a kernel, an initrd or a list of names: a disc that claims more for one of them is not an installer's. */
const mostBytes = 512 * 1024 ** 2
/** Bytes read between two looks at the signal. */
const stretchBytes = 4 * 1024 ** 2
/** Offset of the root folder's record within the descriptor. */
const rootRecordOffset = 156

interface Extent {
  readonly block: number
  readonly sizeBytes: number
  readonly isFolder: boolean
}

/**
 * Reads a file from an image. Names are compared case-insensitively, since plain ISO 9660 only has capitals.
 * @returns undefined if no file has that name
 * @throws Error for a file that is not an ISO 9660 image
 */
export async function readIsoFile(
  image: string,
  path: string,
  signal?: AbortSignal,
): Promise<Buffer | undefined> {
  const file = await openToRead(image)
  try {
    const descriptor = await readAt(file, descriptorBlock * blockBytes, blockBytes)
    if (descriptor.toString('latin1', 1, 6) !== 'CD001') throw new Error(`${image} is not an ISO 9660 image`)
    let extent: Extent | undefined = parseRecord(descriptor.subarray(rootRecordOffset))
    for (const name of path.split('/').filter(Boolean)) {
      if (!extent?.isFolder) return undefined
      extent = findEntry(await readExtent(file, extent, signal), name)
    }
    return extent === undefined || extent.isFolder ? undefined : await readExtent(file, extent, signal)
  } finally {
    await file.close()
  }
}

function findEntry(folder: Buffer, name: string): Extent | undefined {
  for (let offset = 0; offset < folder.length; ) {
    const length = folder[offset] ?? 0
    // No record crosses a block boundary: a zero means that the next record starts with the next block.
    if (length === 0) offset = (Math.floor(offset / blockBytes) + 1) * blockBytes
    else {
      const record = folder.subarray(offset, offset + length)
      if (nameOf(record).toLowerCase() === name.toLowerCase()) return parseRecord(record)
      offset += length
    }
  }
  return undefined
}

/** `INITRD.GZ;1` is version 1 of `INITRD.GZ`; a name without an extension may end with a dot. */
function nameOf(record: Buffer): string {
  const name = record.toString('latin1', 33, 33 + (record[32] ?? 0))
  return name.replace(/;\d+$/, '').replace(/\.$/, '')
}

function parseRecord(record: Buffer): Extent {
  return {
    block: record.readUInt32LE(2),
    sizeBytes: record.readUInt32LE(10),
    isFolder: ((record[25] ?? 0) & 2) !== 0,
  }
}

async function readExtent(
  file: FileHandle,
  { block, sizeBytes }: Extent,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  if (sizeBytes > mostBytes) throw new Error(`a file in the image has ${sizeBytes} bytes`)
  const stretches: Buffer[] = []
  for (let done = 0; done < sizeBytes; done += stretchBytes) {
    signal?.throwIfAborted()
    const length = Math.min(stretchBytes, sizeBytes - done)
    stretches.push(await readAt(file, block * blockBytes + done, length))
  }
  return Buffer.concat(stretches)
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
  if (bytesRead !== length) throw new Error('the image is truncated')
  return buffer
}

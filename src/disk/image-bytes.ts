/** Copies ranges out of a disk image of any format. */

import { open, readFile } from 'node:fs/promises'
import { messageOf } from '../errors.ts'
import { isNoSpace } from '../host/failures.ts'
import { stretchNode } from './block-node.ts'
import type { ImageFile } from './image-file.ts'
import { noRoomFor } from './no-room.ts'
import { convertImage } from './qemu-img.ts'
import { unreadableDisk } from './unreadable.ts'

/** Copies a range into a separate sparse file. */
export async function extractBytes(
  { path, node }: ImageFile,
  offset: number,
  sizeBytes: number,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const from = stretchNode(node, { offset, sizeBytes })
  await convertImage({ from, to: file, format: 'raw' }, signal).catch(async (cause) => {
    signal.throwIfAborted()
    if (isNoSpace(cause)) throw await noRoomFor(`a copy of the disk ${path}`, cause)
    throw unreadableDisk(`the disk ${path} cannot be copied to ${file}: ${messageOf(cause)}`, cause)
  })
}

/** Copies a range of the image to the same offset of a file, and returns it. */
export async function copyBytes(
  image: ImageFile,
  offset: number,
  length: number,
  disk: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const bytes = await readBytes(image, offset, Math.min(length, image.sizeBytes - offset), disk, signal)
  const file = await open(disk, 'r+')
  try {
    await file.write(bytes, 0, bytes.length, offset)
  } finally {
    await file.close()
  }
  return bytes
}

// --- internal ---

async function readBytes(
  image: ImageFile,
  offset: number,
  length: number,
  disk: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const part = `${disk}-part`
  await extractBytes(image, offset, length, part, signal)
  return readFile(part)
}

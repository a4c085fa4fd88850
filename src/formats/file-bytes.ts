/** Reads and writes all bytes at a position of an open file. */

import type { FileHandle } from 'node:fs/promises'

/** @throws Error if the file ends too early */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) throw new Error(`the file ends at ${position + done}`)
    done += bytesRead
  }
  return buffer
}

/** Repeats partial writes: a nearly full disk accepts part of a write and fails only at the next one. */
export async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

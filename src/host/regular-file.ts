/** Files named by a person or by an untrusted folder, opened without waiting for anything. */

import type { Stats } from 'node:fs'
import { constants, type FileHandle, open } from 'node:fs/promises'

/** Folders, pipes and devices are not read: that may never end. */
export class NotReadable extends Error {}

/** For `catch`: a file that cannot be read has no content. */
export function noneIfNotReadable(error: unknown): undefined {
  if (!(error instanceof NotReadable)) throw error
}

const mostByDefault = 64 * 1024 ** 2

/**
 * The bytes of a file, or of the file that a link leads to.
 * @throws NotReadable if it is not a file, or too large; and whatever opening it throws
 */
export async function readRegular(path: string, mostBytes = mostByDefault): Promise<Buffer> {
  const { file, found } = await openAndLook(path)
  try {
    if (!found.isFile()) throw new NotReadable('it is not a file')
    if (found.size === 0 && (await hasMore(file))) throw new NotReadable('its size is not known')
    if (found.size > mostBytes) throw new NotReadable(`it has more than ${mostBytes} bytes`)
    return await readBytes(file, found.size)
  } finally {
    await file.close()
  }
}

export async function readRegularText(path: string, mostBytes = mostByDefault): Promise<string> {
  return (await readRegular(path, mostBytes)).toString('utf8')
}

/**
 * Opens a file of any size or a disk, or the one that a link leads to.
 * @throws NotReadable if it is neither; and whatever opening it throws
 */
export async function openToRead(path: string): Promise<FileHandle> {
  return (await openAndLook(path)).file
}

// --- internal ---

async function openAndLook(path: string): Promise<{ readonly file: FileHandle; readonly found: Stats }> {
  // Opening a named pipe would wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const found = await file.stat()
  if (found.isFile() || found.isBlockDevice()) return { file, found }
  await file.close()
  throw new NotReadable(`${path} is not a file`)
}

/** Whether there is something to read in a file whose size is 0, as with the kernel's files in /proc. */
async function hasMore(file: FileHandle): Promise<boolean> {
  return await file.read(Buffer.alloc(1), 0, 1, 0).then(
    ({ bytesRead }) => bytesRead > 0,
    () => true,
  )
}

/** `readFile` of a handle asks for the size again, and so takes half as long again for thousands of records. */
async function readBytes(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size)
  let done = 0
  for (let last = -1; last !== 0 && done < size; done += last)
    last = (await file.read(bytes, done, size - done, done)).bytesRead
  return bytes.subarray(0, done)
}

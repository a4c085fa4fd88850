/** Files that a person or a foreign folder names, opened without waiting for anything. */

import { constants, type FileHandle, open } from 'node:fs/promises'

/** Neither a folder, a pipe nor a device is read: that may never end. */
export class NotReadable extends Error {}

const mostByDefault = 64 * 1024 ** 2

/**
 * The bytes of a file, which may be a link to one.
 * @throws NotReadable if it is no file, or too large; and what opening it throws
 */
export async function readRegular(path: string, mostBytes = mostByDefault): Promise<Buffer> {
  const file = await openToRead(path)
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new NotReadable('it is not a file')
    if (found.size > mostBytes) throw new NotReadable(`it has more than ${mostBytes} bytes`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

export async function readRegularText(path: string, mostBytes = mostByDefault): Promise<string> {
  return (await readRegular(path, mostBytes)).toString('utf8')
}

/**
 * Opens a file of any size, or a disk, which may be a link to one.
 * @throws NotReadable if it is neither; and what opening it throws
 */
export async function openToRead(path: string): Promise<FileHandle> {
  // Opening a named pipe would wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const found = await file.stat()
  if (found.isFile() || found.isBlockDevice()) return file
  await file.close()
  throw new NotReadable(`${path} is not a file`)
}

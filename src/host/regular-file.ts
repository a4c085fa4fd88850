/** Small files that may have come from elsewhere. */

import { constants, open } from 'node:fs/promises'

/** Neither a folder, a pipe nor a device is read: that may never end. */
export class NotReadable extends Error {}

const mostByDefault = 64 * 1024 ** 2

/**
 * The bytes of a file, which may be a link to one.
 * @throws NotReadable if it is no file, or too large; and what opening it throws
 */
export async function readRegular(path: string, mostBytes = mostByDefault): Promise<Buffer> {
  // Opening a named pipe would wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
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

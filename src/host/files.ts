/** Files that are there as a whole or not at all. */

import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a file so that a reader, or a reboot, sees all of it or nothing. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await flush(dirname(path))
}

/** Waits until a file or folder is on the disk. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

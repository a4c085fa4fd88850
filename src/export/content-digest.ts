/** A digest of a disk's content, independent of the file format and of holes. */

import { createHash } from 'node:crypto'
import { type RawDisk, readDataBlocks } from '../formats/raw-disk.ts'

const blockBytes = 64 * 1024

/** The SHA-256, in hex, of the disk's size and of each block that is not all zeros, preceded by its number. */
export async function digestContent(disk: RawDisk, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256').update(`${disk.sizeBytes}`)
  for await (const { index, data } of readDataBlocks(disk, blockBytes)) {
    signal.throwIfAborted()
    hash.update(` ${index} `).update(data)
  }
  return hash.digest('hex')
}

/** A digest of a disk's content that does not depend on the file format or on holes. */

import { createHash } from 'node:crypto'
import { type RawDisk, readDataBlocks } from '../formats/raw-disk.ts'

const blockBytes = 64 * 1024

/** SHA-256, in hex, of the disk's size followed by the number and data of each block that is not all zeros. */
export async function digestContent(disk: RawDisk, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256').update(`${disk.sizeBytes}`)
  for await (const { index, data } of readDataBlocks(disk, blockBytes)) {
    signal.throwIfAborted()
    hash.update(` ${index} `).update(data)
  }
  return hash.digest('hex')
}

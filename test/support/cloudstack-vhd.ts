/** How CloudStack determines the virtual size of a VHD template: the same way as its `VhdProcessor`. */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readSync, statSync } from 'node:fs'

/**
 * The size that it finds: it treats the first sector (of the decompressed content, if the file is compressed) as the copy of
 * a footer, and skips from field to field. The file's own size if there is no copy of a footer.
 */
export function readCloudStackSize(file: string): number {
  const stream = readFirstSector(file)
  if (stream.toString('latin1', 0, 8) !== 'conectix') return statSync(file).size
  const [cookieBytes, creatorApplication, creatorVersion, currentSize] = [8, 28, 32, 48]
  let place = cookieBytes
  place += creatorApplication - cookieBytes
  // It reads the creator's four letters.
  place += 4
  // This is meant to end at the current size, but ends at the original one.
  place += currentSize - creatorVersion - cookieBytes
  return Number(stream.readBigUInt64BE(place))
}

function readFirstSector(file: string): Buffer {
  const bytes = Buffer.alloc(512)
  const handle = openSync(file, 'r')
  readSync(handle, bytes, 0, bytes.length, 0)
  closeSync(handle)
  if (bytes.toString('latin1', 0, 3) !== 'BZh') return bytes
  return execFileSync('sh', ['-c', 'bzip2 -dc "$1" | head -c 512', 'sh', file])
}

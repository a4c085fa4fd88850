/**
 * How much memory QEMU takes to open or check a qcow2, beyond that for its disk. A small file can ask for any amount. Format:
 * docs/interop/qcow2.rst in QEMU's sources.
 */

import type { ReadImageBytes } from './references/reference.ts'

/** Why it takes more memory than the disk of any system VM; undefined if it does not. */
export async function memoryFault(read: ReadImageBytes, fileBytes: number): Promise<string | undefined> {
  const header = await read(0, largestCluster)
  const isNew = header.length >= 104 && header.readUInt32BE(4) >= 3
  const countBytes = 2 ** (isNew ? header.readUInt32BE(96) : 4) / 8
  // `qemu-img check` counts the references to every cluster of the file, holes included.
  const counted = (fileBytes / 2 ** header.readUInt32BE(20)) * countBytes
  if (counted > mostCountedBytes)
    return `checking it takes ${mebibytes(counted)} of memory; the limit is ${mebibytes(mostCountedBytes)}`
  const diskBytes = Number(header.readBigUInt64BE(24))
  for (const one of isNew ? bitmapsIn(header) : []) {
    if (one.count > mostBitmaps) return `it has ${one.count} dirty bitmaps; the limit is ${mostBitmaps}`
    const bytes = await bytesOfBitmaps(read, one, diskBytes)
    if (bytes > mostBitmapBytes)
      return `its dirty bitmaps take ${mebibytes(bytes)} of memory; the limit is ${mebibytes(mostBitmapBytes)}`
  }
  return undefined
}

// --- internal ---

/** The header and its extensions are in the first cluster. */
const largestCluster = 2 * 1024 ** 2

/** A file of 8 TiB with the usual clusters takes that much. */
const mostCountedBytes = 256 * 1024 ** 2

/** QEMU fills them when it opens the disk: 64 MiB take four seconds. A disk of 2 TiB has 4 MiB for each with the usual grains. */
const mostBitmapBytes = 32 * 1024 ** 2
const mostBitmaps = 100

const bitmapsExtension = 0x2385_2875

interface Bitmaps {
  readonly count: number
  /** Where the list of them is. */
  readonly offset: number
}

/** All lists, although a header should have only one. */
function bitmapsIn(header: Buffer): readonly Bitmaps[] {
  const found: Bitmaps[] = []
  for (let at = header.readUInt32BE(100); at + 8 <= header.length; ) {
    const [type, length] = [header.readUInt32BE(at), header.readUInt32BE(at + 4)]
    if (type === 0) break
    if (type === bitmapsExtension && at + 32 <= header.length)
      found.push({ count: header.readUInt32BE(at + 8), offset: Number(header.readBigUInt64BE(at + 24)) })
    at += 8 + Math.ceil(length / 8) * 8
  }
  return found
}

async function bytesOfBitmaps(
  read: ReadImageBytes,
  { count, offset }: Bitmaps,
  diskBytes: number,
): Promise<number> {
  let bytes = 0
  let at = offset
  for (let index = 0; index < count; index += 1) {
    const entry = await read(at, 24)
    if (entry.length < 24) break
    bytes += diskBytes / 2 ** (entry.readUInt8(17) + 3)
    at += Math.ceil((24 + entry.readUInt16BE(18) + entry.readUInt32BE(20)) / 8) * 8
  }
  return bytes
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`
}

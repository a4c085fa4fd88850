/** What a qcow2 requires of its reader, according to its header: docs/interop/qcow2.rst in QEMU's sources. */

import { openToRead } from '../host/regular-file.ts'

/** Feature bits that a reader must know, or refuse the file. CloudStack's inspection refuses all but the fourth. */
const incompatibleBits = [
  'it was not closed (dirty)',
  'it is marked as corrupt',
  'its data is in another file',
  undefined, // A compression type other than zlib, which has its own check.
  'it has extended L2 entries',
] as const

const headerBytes = 104

/** Descriptions of the features of a qcow2 that a host may refuse. */
export async function readUnusualFeatures(file: string): Promise<readonly string[]> {
  const handle = await openToRead(file)
  try {
    const { buffer: header, bytesRead } = await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, 0)
    if (bytesRead < headerBytes) return ['its header is truncated']
    const found: string[] = []
    if (header.readUInt32BE(32) !== 0) found.push('it is encrypted')
    if (header.readUInt32BE(60) !== 0) found.push(`it has ${header.readUInt32BE(60)} snapshots inside`)
    // Version 2 has no such bits.
    if (header.readUInt32BE(4) < 3) return found
    const bits = header.readBigUInt64BE(72)
    for (let bit = 0; bit < 64; bit += 1) {
      if ((bits & (1n << BigInt(bit))) === 0n) continue
      const meaning =
        bit < incompatibleBits.length ? incompatibleBits[bit] : `it needs the unknown feature ${bit}`
      if (meaning !== undefined) found.push(meaning)
    }
    return found
  } finally {
    await handle.close()
  }
}

/** The disk in an OVA, which is a tar archive: where it lies, so that it can be read without unpacking. */

import { type FileHandle, open } from 'node:fs/promises'
import type { Stretch } from './block-node.ts'

const blockBytes = 512

/** Every member of a tar archive whose name ends with `.vmdk`; undefined where the file is no tar archive. */
export async function findDisksInOva(path: string): Promise<readonly Stretch[] | undefined> {
  const file = await open(path, 'r')
  try {
    const disks: Stretch[] = []
    let offset = 0
    for (;;) {
      const header = await readHeader(file, offset)
      if (header === undefined) return offset === 0 ? undefined : disks
      if (header.name.toLowerCase().endsWith('.vmdk'))
        disks.push({ offset: offset + blockBytes, sizeBytes: header.size })
      offset += blockBytes + Math.ceil(header.size / blockBytes) * blockBytes
    }
  } finally {
    await file.close()
  }
}

// --- internal ---

/** Undefined at the end, and for what is no header. */
async function readHeader(file: FileHandle, offset: number) {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(blockBytes), 0, blockBytes, offset)
  if (bytesRead < blockBytes || buffer.toString('latin1', 257, 262) !== 'ustar') return undefined
  const name = buffer.toString('utf8', 0, 100).replace(/\0.*$/s, '')
  return { name, size: readSize(buffer.subarray(124, 136)) }
}

/** Octal digits, or, from 8 GiB on, a binary number marked by its first bit. */
function readSize(field: Buffer): number {
  const first = field[0] ?? 0
  if ((first & 0x80) === 0)
    return Number.parseInt(field.toString('latin1').replace(/\0.*$/s, '').trim(), 8) || 0
  return Number(field.readBigUInt64BE(4))
}

/** The parent file of a differencing VHD. Format: Microsoft's "Virtual Hard Disk Image Format Specification". */

import type { ReadImageBytes, Reference } from './reference.ts'

const sectorBytes = 512
const at = { dataOffset: 16, type: 60, parentName: 64 } as const
const differencing = 4

/** @param sizeBytes of the image, which ends with a footer */
export async function readVhdReferences(
  read: ReadImageBytes,
  sizeBytes: number,
): Promise<readonly Reference[]> {
  const footers = await Promise.all([0, sizeBytes - sectorBytes].map((place) => read(place, sectorBytes)))
  for (const footer of footers) {
    const isFooter = footer.length === sectorBytes && footer.toString('latin1', 0, 8) === 'conectix'
    if (!isFooter || footer.readUInt32BE(at.type) !== differencing) continue
    const header = await read(Number(footer.readBigUInt64BE(at.dataOffset)), 1024)
    const name = Buffer.from(header.subarray(at.parentName, at.parentName + 512))
    const isWhole = name.length % 2 === 0
    // The specification's UTF-16 is big-endian.
    return [{ kind: 'parent', name: isWhole ? name.swap16().toString('utf16le').replace(/\0.*$/s, '') : '' }]
  }
  return []
}

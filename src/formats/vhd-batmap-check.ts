/** The rules for the batmap, a map of full blocks that XenServer's tools write after a VHD's block table. */

import type { FileHandle } from 'node:fs/promises'
import { readAt } from './file-bytes.ts'
import { type Block, type Fault, hex, mostEntries, readSize } from './vhd-check-parts.ts'
import { batmapFields, batmapVersion, checksum, cookies, hasBit, sectorBytes } from './vhd-format.ts'

interface BatmapRoom {
  readonly place: number
  readonly end: number
  readonly entries: number
  readonly blocks: readonly Block[]
}

/** Returns the end of the headers. */
export async function checkBatmap(
  handle: FileHandle,
  { place, end, entries, blocks }: BatmapRoom,
  fault: Fault,
): Promise<number> {
  const at = batmapFields
  if (place + sectorBytes > end) {
    fault('batmap-offset', 'there is no room for it')
    return place
  }
  const header = await readAt(handle, place, sectorBytes)
  const cookie = header.toString('latin1', at.cookie, at.cookie + 8)
  if (cookie !== cookies.batmap) {
    fault('batmap-cookie', `it is ${JSON.stringify(cookie)}`)
    return place
  }
  const version = header.readUInt32BE(at.version)
  if (version > batmapVersion) fault('batmap-version', `it is ${hex(version)}`)
  const offset = readSize(header, at.offset)
  const bytes = header.readUInt32BE(at.sectors) * sectorBytes
  if (offset < place + sectorBytes || offset % sectorBytes !== 0 || offset + bytes > end) {
    fault('batmap-offset', `it is at ${offset} with ${bytes} bytes`)
    return place + sectorBytes
  }
  if (bytes > mostEntries) {
    fault('batmap-size', `it has ${bytes} bytes for ${entries} entries`)
    return offset + bytes
  }
  const map = await readAt(handle, offset, bytes)
  const sum = checksum(map)
  const written = header.readUInt32BE(at.checksum)
  if (written !== sum) fault('batmap-checksum', `${hex(written)} is not ${hex(sum)}`)
  if (bytes * 8 < entries) fault('batmap-size', `it has ${bytes} bytes for ${entries} entries`)
  const present = new Set(blocks.map(({ index }) => index))
  const absent = [...Array(entries).keys()].filter((index) => hasBit(map, index) && !present.has(index))
  if (absent.length > 0) fault('batmap-bits', `it does so of ${absent.slice(0, 5).join(', ')}`)
  return offset + bytes
}

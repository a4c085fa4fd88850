/** Locates the metadata of a VHDX. Format: Microsoft's [MS-VHDX]. */

import type { Stretch } from './block-node.ts'
import type { ReadImageBytes } from './references/reference.ts'

const regionTables = [192 * 1024, 256 * 1024]
const tableBytes = 64 * 1024
/** As stored on disk: the first three of a GUID's five groups are little-endian. */
const metadataRegion = '06a27c8b90479a4bb8fe575f050f886e'

/** Finds an item in the metadata region; undefined if there is none. */
export async function findVhdxItem(read: ReadImageBytes, guid: string): Promise<Stretch | undefined> {
  for (const place of regionTables) {
    const regions = await read(place, tableBytes)
    const region = regions.length < 16 ? undefined : findEntry(regions, 16, metadataRegion)
    if (region === undefined) continue
    const metadata = Number(region.readBigUInt64LE(16))
    const table = await read(metadata, tableBytes)
    const item = table.length < 32 ? undefined : findEntry(table, 32, guid)
    if (item === undefined) continue
    return { offset: metadata + item.readUInt32LE(16), sizeBytes: item.readUInt32LE(20) }
  }
  return undefined
}

/** Both tables have 32-byte entries that start with a GUID; unused entries are zeros. */
function findEntry(table: Buffer, start: number, guid: string): Buffer | undefined {
  for (let at = start; at + 32 <= table.length; at += 32) {
    if (table.toString('hex', at, at + 16) === guid) return table.subarray(at, at + 32)
  }
  return undefined
}

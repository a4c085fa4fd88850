/** The parent file of a differencing VHDX. Format: Microsoft's [MS-VHDX]. */

import { findVhdxItem } from '../vhdx-items.ts'
import type { ReadImageBytes, Reference } from './reference.ts'

const items = {
  fileParameters: '3767a1ca36fa434db3b633f0aa44e76b',
  parentLocator: '2d5fd3a80bb34d45abf7d3d84834ab0c',
} as const
/** Bit of the file parameters. */
const hasParent = 2
const largestLocator = 64 * 1024

export async function readVhdxReferences(read: ReadImageBytes): Promise<readonly Reference[]> {
  const parameters = await findVhdxItem(read, items.fileParameters)
  const locator = await findVhdxItem(read, items.parentLocator)
  const flags = parameters === undefined ? Buffer.alloc(0) : await read(parameters.offset, 8)
  const isChild = flags.length === 8 && (flags.readUInt32LE(4) & hasParent) !== 0
  if (!isChild && locator === undefined) return []
  const size = Math.min(locator?.sizeBytes ?? 0, largestLocator)
  const values = locator === undefined ? new Map() : readLocator(await read(locator.offset, size))
  const name = ['relative_path', 'absolute_win32_path', 'volume_path'].flatMap((key) => values.get(key) ?? [])
  return [{ kind: 'parent', name: name[0] ?? '' }]
}

/** Keys and values of a parent locator, both in UTF-16. */
function readLocator(bytes: Buffer): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  const count = bytes.length < 20 ? 0 : bytes.readUInt16LE(18)
  for (let at = 20; at + 12 <= bytes.length && values.size < count; at += 12) {
    const text = (place: number, length: number) => bytes.toString('utf16le', place, place + length)
    const [key, value] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
    values.set(text(key, bytes.readUInt16LE(at + 8)), text(value, bytes.readUInt16LE(at + 10)))
  }
  return values
}

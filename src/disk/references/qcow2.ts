/** The files that a qcow2 refers to. Format: docs/interop/qcow2.rst in QEMU's sources. */

import { type ReadImageBytes, type Reference, textOf } from './reference.ts'

const extensions = { backingFormat: 0xe279_2aca, dataFile: 0x4441_5441 } as const
/** Bit of the incompatible features. */
const externalDataFile = 4
/** The header, its extensions, and the name of the backing file are in the first cluster, which has at most 2 MiB. */
const largestCluster = 2 * 1024 ** 2
/** Longest name that QEMU accepts. */
const longestName = 1023

export async function readQcow2References(read: ReadImageBytes): Promise<readonly Reference[]> {
  const header = await read(0, largestCluster)
  if (header.length < 72) return []
  const isNew = header.readUInt32BE(4) >= 3 && header.length >= 104
  const found = readExtensions(header, isNew ? header.readUInt32BE(100) : 72)
  const [at, length] = [Number(header.readBigUInt64BE(8)), header.readUInt32BE(16)]
  const references: Reference[] = []
  if (at !== 0) {
    const name = textOf(await read(at, Math.min(length, longestName)))
    references.push({ kind: 'backing file', name, format: found.get(extensions.backingFormat) })
  }
  const dataFile = found.get(extensions.dataFile)
  const hasDataFile = isNew && (header.readUInt32BE(76) & externalDataFile) !== 0
  if (hasDataFile || dataFile !== undefined) references.push({ kind: 'data file', name: dataFile ?? '' })
  return references
}

/** Texts of the header extensions, by type. */
function readExtensions(header: Buffer, start: number): ReadonlyMap<number, string> {
  const found = new Map<number, string>()
  for (let at = start; at + 8 <= header.length; ) {
    const [type, length] = [header.readUInt32BE(at), header.readUInt32BE(at + 4)]
    if (type === 0) break
    found.set(type, textOf(header.subarray(at + 8, at + 8 + length)))
    at += 8 + Math.ceil(length / 8) * 8
  }
  return found
}

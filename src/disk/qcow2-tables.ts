/**
 * Refuses a qcow2 whose tables are larger than its file: an L1 table can refer to the same L2 table millions of times, and
 * `qemu-img check` reads it each time. Also one that takes much memory. Format: docs/interop/qcow2.rst in QEMU's sources.
 */

import type { Stats } from 'node:fs'
import { openToRead } from '../host/regular-file.ts'
import { memoryFault } from './qcow2-memory.ts'
import { type ReadImageBytes, readerOf } from './references/reference.ts'
import { unreadableDisk } from './unreadable.ts'

/** @throws PipelineError `disk-unreadable` */
export async function requireTablesFit(path: string): Promise<void> {
  const file = await openToRead(path)
  try {
    const found = await file.stat()
    // The size of a device is not known here.
    if (!found.isFile()) return
    const read = readerOf(file, { offset: 0, sizeBytes: found.size })
    const fault = await faultOf(read, found)
    if (fault !== undefined) throw unreadableDisk(`cannot read the disk ${path}: ${fault}`)
  } finally {
    await file.close()
  }
}

// --- internal ---

interface FirstLevel {
  readonly offset: number
  readonly entries: number
}

/** QEMU refuses longer tables. */
const mostEntries = (32 * 1024 ** 2) / 8

const mostSnapshots = 100

/** Of a disk of 2 TiB with the usual clusters: a quarter of that. */
const mostSparseBytes = 1024 ** 3

async function faultOf(
  read: ReadImageBytes,
  { size: fileBytes, blocks }: Stats,
): Promise<string | undefined> {
  const header = await read(0, 72)
  // QEMU reports what is wrong with it.
  if (header.length < 72) return undefined
  const clusterBytes = 2 ** header.readUInt32BE(20)
  const snapshots = header.readUInt32BE(60)
  if (snapshots > mostSnapshots) return `it has ${snapshots} snapshots inside`
  const own = { offset: Number(header.readBigUInt64BE(40)), entries: header.readUInt32BE(36) }
  const others = await readSnapshots(read, Number(header.readBigUInt64BE(64)), snapshots)
  // Holes make a file as large as anyone likes; a filesystem that compresses makes honest tables smaller than they are.
  const mostBytes = Math.min(fileBytes, Math.max(blocks * 512, mostSparseBytes))
  for (const table of [own, ...others]) {
    if ((await countUsed(read, table)) * clusterBytes > mostBytes)
      return 'its tables are larger than the file'
  }
  return memoryFault(read, fileBytes)
}

async function readSnapshots(
  read: ReadImageBytes,
  start: number,
  count: number,
): Promise<readonly FirstLevel[]> {
  const tables: FirstLevel[] = []
  let at = start
  while (tables.length < count) {
    const entry = await read(at, 40)
    if (entry.length < 40) break
    tables.push({ offset: Number(entry.readBigUInt64BE(0)), entries: entry.readUInt32BE(8) })
    const namesBytes = entry.readUInt16BE(12) + entry.readUInt16BE(14)
    at += Math.ceil((40 + entry.readUInt32BE(36) + namesBytes) / 8) * 8
  }
  return tables
}

async function countUsed(read: ReadImageBytes, { offset, entries }: FirstLevel): Promise<number> {
  const table = await read(offset, Math.min(entries, mostEntries) * 8)
  let used = 0
  for (let at = 0; at + 8 <= table.length; at += 8)
    if (table.readUInt32LE(at) !== 0 || table.readUInt32LE(at + 4) !== 0) used += 1
  return used
}

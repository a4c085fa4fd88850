/**
 * Checks a VHD against the rules of XenServer's `vhd-util check`, which Debian does not package, and a few that other readers
 * require.
 */

import type { FileHandle } from 'node:fs/promises'
import { openToRead } from '../host/regular-file.ts'
import { readAt } from './file-bytes.ts'
import { checkBatmap } from './vhd-batmap-check.ts'
import { type Block, type Fault, hex, mostEntries, readSize } from './vhd-check-parts.ts'
import { type VhdRule, vhdRules } from './vhd-check-rules.ts'
import {
  checksum,
  cookies,
  creators,
  diskTypes,
  epochSeconds,
  features,
  footerFields,
  formatVersion,
  geometryBytes,
  geometryOf,
  headerBytes,
  headerFields,
  isFull,
  noBlock,
  noOffset,
  packGeometry,
  padToSector,
  sectorBytes,
  unpackGeometry,
} from './vhd-format.ts'

/** How far in the future a file's timestamp can be, because the clocks of hosts differ. */
const clockSlackSeconds = 1800

/** More faults would add nothing. */
const mostFaults = 50

/**
 * The rules that a file breaks, each with what was found; none if it is sound. Reads only metadata, which can be as large as
 * the file.
 */
export async function checkVhd(file: string, signal?: AbortSignal): Promise<readonly string[]> {
  const handle = await openToRead(file)
  try {
    const faults: string[] = []
    const fault = (rule: VhdRule, found: string) => {
      signal?.throwIfAborted()
      if (faults.length < mostFaults) faults.push(`${rule}: ${vhdRules[rule]}, but ${found}`)
    }
    await checkFile(handle, fault, signal)
    return faults
  } finally {
    await handle.close()
  }
}

async function checkFile(handle: FileHandle, fault: Fault, signal: AbortSignal | undefined): Promise<void> {
  const { size } = await handle.stat()
  if (size < sectorBytes || size % sectorBytes !== 0) return fault('file-size', `it has ${size} bytes`)
  const end = size - sectorBytes
  const footer = await readAt(handle, end, sectorBytes)
  if (!checkFooter(footer, end, fault)) return
  const type = footer.readUInt32BE(footerFields.type)
  if (type === diskTypes.fixed) {
    const disk = readSize(footer, footerFields.currentSize)
    if (disk !== end) fault('fixed-size', `${end} bytes precede the footer of a disk of ${disk}`)
  } else if (type === diskTypes.dynamic) {
    const copy = await readAt(handle, 0, sectorBytes)
    if (!copy.equals(footer)) fault('footer-copy', 'they differ')
    await checkDynamic(handle, footer, end, fault, signal)
  }
}

/** Checks the footer; returns whether it points to a header that can be checked. */
function checkFooter(footer: Buffer, end: number, fault: Fault): boolean {
  const at = footerFields
  const number = (offset: number) => footer.readUInt32BE(offset)
  const cookie = footer.toString('latin1', at.cookie, at.cookie + 8)
  if (cookie !== cookies.footer) fault('footer-cookie', `it is ${JSON.stringify(cookie)}`)
  const sum = checksum(footer, at.checksum)
  if (number(at.checksum) !== sum) fault('footer-checksum', `${hex(number(at.checksum))} is not ${hex(sum)}`)
  if (cookie !== cookies.footer || number(at.checksum) !== sum) return false

  const set = number(at.features)
  const isReserved = (set & features.reserved) !== 0
  if (!isReserved || (set & ~(features.reserved | features.temporary)) !== 0)
    fault('footer-features', `they are ${hex(set)}`)
  if (number(at.version) !== formatVersion) fault('footer-version', `it is ${hex(number(at.version))}`)

  const type = number(at.type)
  if (type !== diskTypes.fixed && type !== diskTypes.dynamic) fault('footer-type', `it is ${type}`)
  const next = footer.readBigUInt64BE(at.dataOffset)
  const isInside =
    next >= sectorBytes && next % BigInt(sectorBytes) === 0n && next + BigInt(headerBytes) <= end
  const isRight = { [diskTypes.dynamic]: isInside, [diskTypes.fixed]: next === noOffset }[type] ?? true
  if (!isRight) fault('footer-data-offset', `it is 0x${next.toString(16)}`)

  const made = number(at.timestamp) + epochSeconds
  if (made > Date.now() / 1000 + clockSlackSeconds) {
    fault('footer-timestamp', `it is ${new Date(made * 1000).toISOString()}`)
  }
  const version = number(at.creatorVersion)
  if (isXen(footer) && version > creators.xen.version) fault('footer-creator', `it is ${hex(version)}`)

  const [original, size] = [readSize(footer, at.originalSize), readSize(footer, at.currentSize)]
  if (original !== size) fault('footer-sizes', `they are ${original} and ${size}`)
  const geometry = number(at.geometry)
  const { cylinders, heads, sectorsPerTrack } = unpackGeometry(geometry)
  const found = `it is ${cylinders}/${heads}/${sectorsPerTrack} for ${size} bytes`
  if (geometry > packGeometry(geometryOf(size))) fault('footer-geometry', found)
  else if (geometryBytes(unpackGeometry(geometry)) !== size) fault('footer-geometry-exact', found)

  if (isZero(footer.subarray(at.uuid, at.uuid + 16))) fault('footer-uuid', 'it is zero')
  for (const state of ['saved', 'hidden'] as const) {
    const value = footer[at[state]] ?? 0
    if (value > 1) fault(`footer-${state}`, `it is ${value}`)
  }
  if (!isZero(footer.subarray(at.reserved))) fault('footer-reserved', 'it is not')
  return isRight
}

async function checkDynamic(
  handle: FileHandle,
  footer: Buffer,
  end: number,
  fault: Fault,
  signal: AbortSignal | undefined,
): Promise<void> {
  const at = headerFields
  const headerPlace = readSize(footer, footerFields.dataOffset)
  const header = await readAt(handle, headerPlace, headerBytes)
  const number = (offset: number) => header.readUInt32BE(offset)
  const cookie = header.toString('latin1', at.cookie, at.cookie + 8)
  if (cookie !== cookies.header) fault('header-cookie', `it is ${JSON.stringify(cookie)}`)
  const sum = checksum(header, at.checksum)
  if (number(at.checksum) !== sum) fault('header-checksum', `${hex(number(at.checksum))} is not ${hex(sum)}`)
  if (cookie !== cookies.header || number(at.checksum) !== sum) return

  if (number(at.version) !== formatVersion) fault('header-version', `it is ${hex(number(at.version))}`)
  const next = header.readBigUInt64BE(at.dataOffset)
  if (next !== noOffset) fault('header-data-offset', `there is 0x${next.toString(16)}`)
  if (number(at.reserved) !== 0 || !isZero(header.subarray(at.moreReserved))) {
    fault('header-reserved', 'they are not')
  }
  const parent = [
    header.subarray(at.parentUuid, at.reserved),
    header.subarray(at.parentName, at.moreReserved),
  ]
  if (!parent.every(isZero)) fault('header-parent', 'they are not')

  const blockSize = number(at.blockBytes)
  const isPower = blockSize >= sectorBytes && (blockSize & (blockSize - 1)) === 0
  if (!isPower) fault('header-block-size', `it is ${blockSize}`)
  const [table, entries] = [readSize(header, at.tableOffset), number(at.tableEntries)]
  const tableEnd = table + padToSector(entries * 4)
  const isPlaced = table >= headerPlace + headerBytes && table % sectorBytes === 0 && tableEnd <= end
  if (!isPlaced) fault('header-table-offset', `it is at ${table} with ${entries} entries`)
  if (!isPower || !isPlaced) return
  const needed = Math.ceil(readSize(footer, footerFields.currentSize) / blockSize)
  if (entries < needed) fault('header-table-entries', `it has ${entries} for ${needed} blocks`)
  if (entries > mostEntries) return fault('header-table-entries', `it has ${entries}`)

  const blocks = await readTable(handle, table, entries)
  const headersEnd = hasBatmap(footer)
    ? await checkBatmap(handle, { place: tableEnd, end, entries, blocks }, fault)
    : tableEnd
  await checkBlocks(handle, blocks, { blockSize, headersEnd, end, signal }, fault)
}

async function readTable(handle: FileHandle, offset: number, entries: number): Promise<readonly Block[]> {
  const table = await readAt(handle, offset, entries * 4)
  const blocks: Block[] = []
  for (let index = 0; index < entries; index += 1) {
    const sector = table.readUInt32BE(index * 4)
    if (sector !== noBlock) blocks.push({ index, start: sector * sectorBytes })
  }
  return blocks
}

interface Room {
  readonly blockSize: number
  readonly headersEnd: number
  readonly end: number
  readonly signal: AbortSignal | undefined
}

async function checkBlocks(
  handle: FileHandle,
  blocks: readonly Block[],
  room: Room,
  fault: Fault,
): Promise<void> {
  const bitmapSize = padToSector(room.blockSize / sectorBytes / 8)
  // Bits beyond the last sector of a small block mean nothing.
  const bits = room.blockSize / sectorBytes
  let last: Block | undefined
  for (const block of [...blocks].sort((a, b) => a.start - b.start)) {
    room.signal?.throwIfAborted()
    const { index, start } = block
    if (last !== undefined && start < last.start + bitmapSize + room.blockSize) {
      // Otherwise thousands of blocks at the same position would each be read.
      return fault('block-overlap', `block ${index} is at ${start} and block ${last.index} at ${last.start}`)
    }
    const stop = start + bitmapSize + room.blockSize
    const found = `block ${index} is at ${start}`
    if (start < room.headersEnd) fault('block-behind-headers', `${found} and they end at ${room.headersEnd}`)
    if (stop > room.end) fault('block-inside-file', `${found} and that is at ${room.end}`)
    else if (start >= room.headersEnd && !isFull(await readAt(handle, start, bitmapSize), bits)) {
      fault('block-bitmap', `the bitmap of block ${index} has gaps`)
    }
    if ((start + bitmapSize) % 4096 !== 0) fault('block-alignment', found)
    last = block
  }
}

function isXen(footer: Buffer): boolean {
  return (
    footer.toString('latin1', footerFields.creatorApplication, footerFields.creatorApplication + 3) === 'tap'
  )
}

function hasBatmap(footer: Buffer): boolean {
  return isXen(footer) && footer.readUInt32BE(footerFields.creatorVersion) >= 0x0001_0002
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0)
}

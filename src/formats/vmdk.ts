/** The disk inside the OVA: a streamOptimized VMDK, always the same for the same disk. */

import { createHash } from 'node:crypto'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gather } from './gather.ts'
import { compressGrains, countGrains, type Grain, grainBytes } from './grains.ts'
import type { RawDisk } from './raw-disk.ts'
import {
  directoryLength,
  encodeEntries,
  encodeGrainMarker,
  encodeHeader,
  encodeMarker,
  grainMarkerBytes,
  grainSectors,
  markers,
  overheadSectors,
  renderDescriptor,
  sectorBytes,
  tableEntries,
  toSectors,
  type VmdkOptions,
} from './vmdk-format.ts'

/** Facts about a VMDK that has been written. */
export interface WrittenVmdk {
  readonly sizeBytes: number
  readonly sha256: string
  /** How much of the disk is not zeros, in whole grains. */
  readonly populatedBytes: number
}

/**
 * Writes a disk as a VMDK, in one pass and without seeking.
 *
 * @param disk its size is a multiple of the grain, 64 KiB
 * @param onProgress called with the share written so far, from 0 to 1
 * @param grains those of the disk, if they are also compressed for another file
 */
export async function writeStreamOptimizedVmdk(
  disk: RawDisk,
  output: Writable,
  options: VmdkOptions,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
  grains: AsyncIterable<Grain> = compressGrains(disk),
): Promise<WrittenVmdk> {
  const expected = countGrains(disk)
  const hash = createHash('sha256')
  let sizeBytes = 0
  let written = 0
  let shown = -1
  const count = () => {
    written += 1
    const percent = Math.floor((written / expected) * 100)
    if (percent > shown && percent < 100) onProgress(percent / 100)
    shown = Math.max(shown, percent)
  }
  const chunks = async function* () {
    for await (const chunk of gather(vmdkChunks(disk, options, grains, count))) {
      hash.update(chunk)
      sizeBytes += chunk.length
      yield chunk
    }
  }
  await pipeline(chunks, output, { signal })
  onProgress(1)
  return { sizeBytes, sha256: hash.digest('hex'), populatedBytes: written * grainBytes }
}

/**
 * Precedes deflated data, and declares the usual level and a window of 32 KiB. The actual window is smaller, but this is the
 * header that importers know.
 */
const zlibHeader = Buffer.from([0x78, 0x9c])

/** Fills a grain's last sector. */
const zeros = Buffer.alloc(sectorBytes)

/** The file from its first sector to its last. */
async function* vmdkChunks(
  disk: RawDisk,
  options: VmdkOptions,
  grains: AsyncIterable<Grain>,
  onGrain: () => void,
): AsyncGenerator<Buffer> {
  if (disk.sizeBytes === 0 || disk.sizeBytes % grainBytes !== 0) {
    throw new Error(`a disk of ${disk.sizeBytes} bytes is not one of whole grains`)
  }
  const capacity = disk.sizeBytes / sectorBytes
  const head = Buffer.alloc(overheadSectors * sectorBytes)
  encodeHeader(capacity).copy(head)
  renderDescriptor(capacity, options).copy(head, sectorBytes)
  yield head

  let position = overheadSectors
  const directory = new Uint32Array(directoryLength(capacity))
  let table = { index: 0, entries: new Uint32Array(tableEntries), isEmpty: true }
  const takeTable = (): Buffer => {
    const chunk = markedEntries(markers.grainTable, table.entries)
    directory[table.index] = position + 1
    position += chunk.length / sectorBytes
    return chunk
  }
  for await (const { index, deflated, adler } of grains) {
    const tableIndex = Math.floor(index / tableEntries)
    if (tableIndex !== table.index) {
      // A table without grains is omitted, and so is its entry in the directory.
      if (!table.isEmpty) yield takeTable()
      table = { index: tableIndex, entries: new Uint32Array(tableEntries), isEmpty: true }
    }
    const length = zlibHeader.length + deflated.length + adler.length
    const sectors = toSectors(grainMarkerBytes + length)
    table.entries[index % tableEntries] = position
    table.isEmpty = false
    position += sectors
    onGrain()
    yield encodeGrainMarker(index * grainSectors, length)
    yield zlibHeader
    yield deflated
    yield adler
    yield zeros.subarray(0, sectors * sectorBytes - grainMarkerBytes - length)
  }
  if (!table.isEmpty) yield takeTable()

  const directoryAt = BigInt(position + 1)
  yield markedEntries(markers.grainDirectory, directory)
  yield encodeMarker(markers.footer, 1)
  yield encodeHeader(capacity, directoryAt)
  yield encodeMarker(markers.endOfStream, 0)
}

function markedEntries(kind: number, entries: Uint32Array): Buffer {
  const data = encodeEntries(entries)
  return Buffer.concat([encodeMarker(kind, toSectors(data.length)), data])
}

/** Checks a streamOptimized VMDK to the last byte: reads every marker, and unpacks every grain. */

import type { FileHandle } from 'node:fs/promises'
import { openToRead } from '../host/regular-file.ts'
import { grainBytes } from './grains.ts'
import {
  descriptorSectors,
  directoryLength,
  encodeEntries,
  encodeHeader,
  grainMarkerBytes,
  grainSectors,
  markers,
  overheadSectors,
  sectorBytes,
  tableEntries,
  toSectors,
} from './vmdk-format.ts'
import { checkDescriptor, checkHeader, demand, isZero, unpackGrain, VmdkFault } from './vmdk-rules.ts'

/** The position of a VMDK inside a file, such as an OVA. */
export interface FilePart {
  readonly offset: number
  readonly length: number
}

export interface CheckOptions {
  /** @default the whole file */
  readonly part?: FilePart
  /**
   * Whether to unpack grains, which is most of the work. Not needed if a later comparison unpacks them.
   *
   * @default true
   */
  readonly unpacks?: boolean
  readonly signal?: AbortSignal
}

export interface VmdkFacts {
  readonly capacityBytes: number
  readonly grains: number
}

/**
 * Reads a VMDK from end to end.
 *
 * @throws VmdkFault for the first rule that it breaks
 */
export async function checkVmdk(
  path: string,
  { part, unpacks = true, signal }: CheckOptions = {},
): Promise<VmdkFacts> {
  const file = await openToRead(path)
  try {
    const whole = part ?? { offset: 0, length: (await file.stat()).size }
    demand(whole.length % sectorBytes === 0, 'whole-sectors', `${whole.length} bytes`)
    return await walk(readSectors(file, whole, signal), unpacks)
  } finally {
    await file.close()
  }
}

interface SectorReader {
  /** The sector that will be read next. */
  readonly position: () => number
  readonly isAtEnd: () => boolean
  readonly take: (sectors: number) => Promise<Buffer>
}

function readSectors(
  file: FileHandle,
  { offset, length }: FilePart,
  signal: AbortSignal | undefined,
): SectorReader {
  let window = Buffer.alloc(0)
  let used = 0
  let fetched = 0
  return {
    position: () => (fetched - window.length + used) / sectorBytes,
    isAtEnd: () => fetched - window.length + used === length,
    take: async (sectors) => {
      const bytes = sectors * sectorBytes
      if (window.length - used < bytes) {
        signal?.throwIfAborted()
        const more = Buffer.alloc(Math.min(Math.max(bytes, 1 << 20), length - fetched))
        const { bytesRead } = await file.read(more, 0, more.length, offset + fetched)
        window = Buffer.concat([window.subarray(used), more.subarray(0, bytesRead)])
        used = 0
        fetched += bytesRead
      }
      const found = window.length - used
      demand(found >= bytes, 'not-truncated', `${bytes} bytes are needed but only ${found} are left`)
      used += bytes
      return window.subarray(used - bytes, used)
    },
  }
}

/** What has been seen of a file so far. */
interface Walk {
  readonly reader: SectorReader
  /** In sectors. */
  readonly capacity: number
  /** Positions of the tables seen so far. */
  readonly directory: Uint32Array
  /** Positions of the grains since the last table. */
  table: { readonly index: number; readonly entries: Uint32Array } | undefined
  grains: number
  lastGrain: number
  directorySector: number | undefined
  hasFooter: boolean
  readonly unpacks: boolean
  readonly unpacking: Promise<void>[]
}

/** A sector that announces what follows. */
interface Marker {
  readonly sector: number
  readonly bytes: Buffer
  readonly value: bigint
}

async function walk(reader: SectorReader, unpacks: boolean): Promise<VmdkFacts> {
  const capacity = checkHeader(await reader.take(1))
  checkDescriptor(await reader.take(descriptorSectors), capacity)
  demand(
    isZero(await reader.take(overheadSectors - 1 - descriptorSectors)),
    'header-overhead',
    'is not empty',
  )
  const seen: Walk = {
    reader,
    capacity,
    directory: new Uint32Array(directoryLength(capacity)),
    table: undefined,
    grains: 0,
    lastGrain: -1,
    directorySector: undefined,
    hasFooter: false,
    unpacks,
    unpacking: [],
  }
  for (let hasEnded = false; !hasEnded; ) {
    const sector = reader.position()
    const bytes = Buffer.from(await reader.take(1))
    const marker: Marker = { sector, bytes, value: bytes.readBigUInt64LE(0) }
    const size = bytes.readUInt32LE(8)
    if (size > 0) await passGrain(seen, marker, size)
    else hasEnded = await passMarker(seen, marker)
  }
  await Promise.all(seen.unpacking)
  return { capacityBytes: capacity * sectorBytes, grains: seen.grains }
}

async function passGrain(seen: Walk, { sector, bytes, value }: Marker, size: number): Promise<void> {
  demand(
    seen.directorySector === undefined,
    'marker-order',
    `a grain in sector ${sector}, after the directory`,
  )
  const isPlace = value % BigInt(grainSectors) === 0n && value < BigInt(seen.capacity)
  demand(isPlace, 'grain-place', `the grain in sector ${sector} is for sector ${value} of ${seen.capacity}`)
  const grain = Number(value) / grainSectors
  demand(grain > seen.lastGrain, 'grain-order', `grain ${grain} comes after ${seen.lastGrain}`)
  demand(size <= 2 * grainBytes, 'grain-size', `grain ${grain} has ${size} bytes for ${grainBytes}`)
  const index = Math.floor(grain / tableEntries)
  seen.table ??= { index, entries: new Uint32Array(tableEntries) }
  demand(seen.table.index === index, 'table-missing', `none before grain ${grain} for those before it`)
  const rest = await seen.reader.take(toSectors(grainMarkerBytes + size) - 1)
  const stored = Buffer.concat([bytes.subarray(grainMarkerBytes), rest])
  demand(isZero(stored.subarray(size)), 'grain-padding', `that of grain ${grain} is not zeros`)
  if (seen.unpacks) seen.unpacking.push(unpackGrain(grain, stored.subarray(0, size)))
  if (seen.unpacking.length >= unpackedAtOnce) await seen.unpacking.shift()
  seen.table.entries[grain % tableEntries] = sector
  seen.lastGrain = grain
  seen.grains += 1
}

/** Returns whether the marker ends the stream. */
async function passMarker(seen: Walk, { sector, bytes, value }: Marker): Promise<boolean> {
  const { reader, table } = seen
  const kind = bytes.readUInt32LE(12)
  demand(isZero(bytes.subarray(16)), 'marker-rest', `that of the marker in sector ${sector} is not zeros`)
  switch (kind) {
    case markers.grainTable:
      demand(seen.directorySector === undefined, 'marker-order', `a table in sector ${sector}, too late`)
      if (table === undefined)
        throw new VmdkFault('table-entries', `the one in sector ${sector} has no grains`)
      await checkEntries('table-entries', table.entries, value, reader)
      seen.directory[table.index] = sector + 1
      seen.table = undefined
      return false
    case markers.grainDirectory:
      demand(seen.directorySector === undefined, 'marker-order', `a second directory in sector ${sector}`)
      demand(table === undefined, 'table-missing', 'none for the last grains')
      await checkEntries('directory-entries', seen.directory, value, reader)
      seen.directorySector = sector + 1
      return false
    case markers.footer: {
      const { directorySector } = seen
      if (directorySector === undefined || seen.hasFooter) {
        throw new VmdkFault('marker-order', `a footer in sector ${sector}`)
      }
      const footer = encodeHeader(seen.capacity, BigInt(directorySector))
      const isFooter = value === 1n && footer.equals(await reader.take(1))
      demand(isFooter, 'footer-header', 'it is not the header with the place of the directory')
      seen.hasFooter = true
      return false
    }
    case markers.endOfStream:
      demand(seen.hasFooter, 'marker-order', `the stream ends in sector ${sector}, without a footer`)
      demand(value === 0n && reader.isAtEnd(), 'end-of-stream', 'something follows the sector that ends it')
      return true
    default:
      throw new VmdkFault('marker-kind', `${kind} in sector ${sector} is none`)
  }
}

/** Grains being unpacked at once: enough to keep every core busy while the file is read. */
const unpackedAtOnce = 16

async function checkEntries(
  rule: 'table-entries' | 'directory-entries',
  entries: Uint32Array,
  sectors: bigint,
  reader: SectorReader,
): Promise<void> {
  const wanted = encodeEntries(entries)
  const before = reader.position()
  demand(sectors === BigInt(toSectors(wanted.length)), rule, `${sectors} sectors of them from ${before} on`)
  const found = await reader.take(toSectors(wanted.length))
  demand(found.equals(wanted), rule, `those from sector ${before} on do not name where the data is`)
}

/**
 * The streamOptimized VMDK as VMware's importers read it, in one forward pass: header, descriptor, compressed grains with a
 * table after each 512 of them, directory, footer, end of stream. Numbers are little-endian.
 */

import { sha256 } from '../digest.ts'
import { grainBytes } from './grains.ts'

export const sectorBytes = 512
export const grainSectors = grainBytes / sectorBytes
/** Grains per grain table. */
export const tableEntries = 512
/** Sectors before the first marker: the header, and room for the descriptor. */
export const overheadSectors = 128
export const descriptorSectors = 20
/** Before a grain's data: its first sector on the disk, and the length of the data. */
export const grainMarkerBytes = 12

/** Kinds of markers other than a grain's. */
export const markers = { endOfStream: 0, grainTable: 1, grainDirectory: 2, footer: 3 } as const

/** Used in the header when the grain directory is at the end. */
export const directoryAtEnd = 2n ** 64n - 1n

/** The fields of the header, which the footer repeats. */
export const headerFields = {
  magic: { offset: 0, bytes: 4, value: 0x564d444bn },
  version: { offset: 4, bytes: 4, value: 3n },
  /** Line-end check characters, compressed grains, and markers; no second directory. */
  flags: { offset: 8, bytes: 4, value: 0x30001n },
  capacity: { offset: 12, bytes: 8, value: undefined },
  grainSize: { offset: 20, bytes: 8, value: BigInt(grainSectors) },
  descriptorOffset: { offset: 28, bytes: 8, value: 1n },
  descriptorSize: { offset: 36, bytes: 8, value: BigInt(descriptorSectors) },
  tableEntries: { offset: 44, bytes: 4, value: BigInt(tableEntries) },
  secondDirectory: { offset: 48, bytes: 8, value: 0n },
  directory: { offset: 56, bytes: 8, value: undefined },
  overhead: { offset: 64, bytes: 8, value: BigInt(overheadSectors) },
  uncleanShutdown: { offset: 72, bytes: 1, value: 0n },
  /** `\n`, space, `\r`, and `\n`: a text-mode copy would change them. */
  lineEnds: { offset: 73, bytes: 4, value: 0x0a0d200an },
  /** Deflate. */
  compression: { offset: 77, bytes: 2, value: 1n },
} as const

export type HeaderField = keyof typeof headerFields

/** The header or, given the position of the directory, the footer. */
export function encodeHeader(capacitySectors: number, directory: bigint = directoryAtEnd): Buffer {
  const header = Buffer.alloc(sectorBytes)
  const own: Partial<Record<HeaderField, bigint>> = { capacity: BigInt(capacitySectors), directory }
  for (const [name, { offset, bytes, value }] of Object.entries(headerFields)) {
    writeNumber(header, offset, bytes, value ?? own[name as HeaderField] ?? 0n)
  }
  return header
}

export function readHeaderField(header: Buffer, name: HeaderField): bigint {
  const { offset, bytes } = headerFields[name]
  let value = 0n
  for (let index = bytes - 1; index >= 0; index -= 1) {
    value = (value << 8n) | BigInt(header[offset + index] as number)
  }
  return value
}

function writeNumber(buffer: Buffer, offset: number, bytes: number, value: bigint): void {
  for (let index = 0; index < bytes; index += 1) {
    buffer[offset + index] = Number((value >> BigInt(8 * index)) & 0xffn)
  }
}

/** The sector before a table, the directory, or the footer, or the sector that ends the stream. */
export function encodeMarker(kind: number, sectors: number): Buffer {
  const marker = Buffer.alloc(sectorBytes)
  marker.writeBigUInt64LE(BigInt(sectors), 0)
  marker.writeUInt32LE(kind, 12)
  return marker
}

/** The marker before a grain's data of the given length. */
export function encodeGrainMarker(firstSector: number, length: number): Buffer {
  const marker = Buffer.alloc(grainMarkerBytes)
  marker.writeBigUInt64LE(BigInt(firstSector), 0)
  marker.writeUInt32LE(length, 8)
  return marker
}

export function encodeEntries(entries: readonly number[] | Uint32Array): Buffer {
  const buffer = Buffer.alloc(toSectors(entries.length * 4) * sectorBytes)
  for (const [index, entry] of entries.entries()) buffer.writeUInt32LE(entry, index * 4)
  return buffer
}

export function toSectors(bytes: number): number {
  return Math.ceil(bytes / sectorBytes)
}

/** Entries of the grain directory: one for each grain table that the disk could have. */
export function directoryLength(capacitySectors: number): number {
  return Math.ceil(capacitySectors / (grainSectors * tableEntries))
}

/** ESXi's geometry, whatever the size: 255 heads with 63 sectors each. */
export const geometry = { heads: 255, sectors: 63 } as const

export function cylindersOf(capacitySectors: number): number {
  return Math.floor(capacitySectors / (geometry.heads * geometry.sectors))
}

export interface VmdkOptions {
  /** Seed of the disk's content identifiers: the same for the same content. */
  readonly key: string
  /** Name of the file, repeated in the descriptor. */
  readonly name: string
  /** Version of VMware's virtual hardware, e.g. 13. */
  readonly hardwareVersion: number
}

/** The text before the grains, which describes them. */
export function renderDescriptor(capacitySectors: number, options: VmdkOptions): Buffer {
  const contentId = sha256(options.key).slice(0, 32)
  // Disks on all SCSI controllers have this type, even on paravirtual ones.
  const database = {
    adapterType: 'lsilogic',
    'geometry.cylinders': cylindersOf(capacitySectors),
    'geometry.heads': geometry.heads,
    'geometry.sectors': geometry.sectors,
    longContentID: contentId,
    virtualHWVersion: options.hardwareVersion,
  }
  const text = [
    '# Disk DescriptorFile',
    'version=1',
    // The short identifier is the end of the long one.
    `CID=${contentId.slice(-8)}`,
    'parentCID=ffffffff',
    'createType="streamOptimized"',
    '',
    '# Extent description',
    `RW ${capacitySectors} SPARSE "${options.name}"`,
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    ...Object.entries(database).map(([key, value]) => `ddb.${key} = "${value}"`),
    '',
  ].join('\n')
  const buffer = Buffer.alloc(descriptorSectors * sectorBytes)
  if (buffer.write(text) === buffer.length) throw new Error('the descriptor does not fit its room')
  return buffer
}

/**
 * The structures of a VHD file, as bytes: Microsoft's "Virtual Hard Disk Image Format Specification", and the map of full
 * blocks that XenServer's tapdisk adds. All numbers are big-endian.
 */

import type { DiskSizes } from './sizes.ts'

export const sectorBytes = 512

/** Block size of a dynamic disk. Other sizes are allowed, but are known to cause trouble for readers. */
export const blockBytes = 2 * 1024 * 1024

/** One bit for each sector of a block, before its data. */
export const bitmapBytes = blockBytes / sectorBytes / 8

export const headerBytes = 1024

/** Offsets of a dynamic disk's first structures: a copy of the footer is at 0. */
const headerOffset = sectorBytes
export const tableOffset = headerOffset + headerBytes

/** The offset of a structure that does not exist. */
export const noOffset = 0xffff_ffff_ffff_ffffn

/** The position of a block that does not exist, in sectors. */
export const noBlock = 0xffff_ffff

/** The format counts time from 2000: seconds from 1970 to then. */
export const epochSeconds = 946_684_800

export const cookies = { footer: 'conectix', header: 'cxsparse', batmap: 'tdbatmap' } as const

export const diskTypes = { fixed: 2, dynamic: 3 } as const

export type Subformat = keyof typeof diskTypes

/** Bits of a footer's features: the second one is always set. */
export const features = { temporary: 1, reserved: 2 } as const

export const formatVersion = 0x0001_0000
export const batmapVersion = 0x0001_0002

/**
 * The program recorded as a file's creator. From it, readers infer what else is in the file and which of its sizes to use.
 */
export interface Creator {
  /** Four characters. */
  readonly application: string
  readonly version: number
  readonly hostSystem: number
}

export const creators = {
  /** XenServer's own tools: the first version whose map of full blocks has an unsigned checksum. */
  xen: { application: 'tap\0', version: 0x0001_0003, hostSystem: 0 },
  /**
   * The creator that qemu-img writes when told to keep the exact size; Hyper-V and Azure have accepted such files for years.
   * qemu then uses the size, not the geometry. The system is "Wi2k", for lack of a better one.
   */
  hyperv: { application: 'qem2', version: 0x0005_0003, hostSystem: 0x5769_326b },
} as const satisfies Record<string, Creator>

/** Cylinders, heads, and sectors: the size of a disk to an old BIOS. */
export interface Geometry {
  readonly cylinders: number
  readonly heads: number
  readonly sectorsPerTrack: number
}

/** The geometry of a disk, according to the specification's appendix. Its capacity is at most that of the disk. */
export function geometryOf(sizeBytes: number): Geometry {
  const sectors = Math.min(Math.floor(sizeBytes / sectorBytes), 65_535 * 16 * 255)
  const inTracksOf = (sectorsPerTrack: number, heads: number): Geometry => ({
    cylinders: Math.floor(Math.floor(sectors / sectorsPerTrack) / heads),
    heads,
    sectorsPerTrack,
  })
  if (sectors >= 65_535 * 16 * 63) return inTracksOf(255, 16)
  const shortTracks = Math.floor(sectors / 17)
  const heads = Math.max(4, Math.ceil(shortTracks / 1024))
  if (heads <= 16 && shortTracks < heads * 1024) return inTracksOf(17, heads)
  if (Math.floor(sectors / 31) < 16 * 1024) return inTracksOf(31, 16)
  return inTracksOf(63, 16)
}

/** The size of a disk according to its geometry alone. */
export function geometryBytes({ cylinders, heads, sectorsPerTrack }: Geometry): number {
  return cylinders * heads * sectorsPerTrack * sectorBytes
}

/** Whole blocks and whole cylinders: for any other size, some reader uses the geometry instead. */
export const vhdSizes: DiskSizes = {
  holds: (sizeBytes) => sizeBytes % blockBytes === 0 && geometryBytes(geometryOf(sizeBytes)) === sizeBytes,
  // The limit of cylinders, heads, and sectors.
  largestBytes: geometryBytes({ cylinders: 65_535, heads: 16, sectorsPerTrack: 255 }),
}

/** A footer's 32-bit encoding of a geometry. */
export function packGeometry({ cylinders, heads, sectorsPerTrack }: Geometry): number {
  return cylinders * 0x1_0000 + heads * 0x100 + sectorsPerTrack
}

export function unpackGeometry(packed: number): Geometry {
  return { cylinders: packed >>> 16, heads: (packed >>> 8) & 0xff, sectorsPerTrack: packed & 0xff }
}

/** Rounds up to whole sectors. */
export function padToSector(bytes: number): number {
  return Math.ceil(bytes / sectorBytes) * sectorBytes
}

/** The one's complement of the sum of all bytes, without the four of the checksum itself if they are among them. */
export function checksum(bytes: Buffer, ownOffset = bytes.length): number {
  let sum = 0
  for (const byte of bytes) sum += byte
  for (const byte of bytes.subarray(ownOffset, ownOffset + 4)) sum -= byte
  return ~sum >>> 0
}

/** Offsets of a footer's fields. After the last there are only zeros. */
export const footerFields = {
  cookie: 0,
  features: 8,
  version: 12,
  dataOffset: 16,
  timestamp: 24,
  creatorApplication: 28,
  creatorVersion: 32,
  creatorSystem: 36,
  originalSize: 40,
  currentSize: 48,
  geometry: 56,
  type: 60,
  checksum: 64,
  uuid: 68,
  saved: 84,
  hidden: 85,
  reserved: 86,
} as const

export interface Footer {
  readonly subformat: Subformat
  readonly creator: Creator
  readonly sizeBytes: number
  /** Seconds since 2000. */
  readonly timestampSeconds: number
  readonly uuid: string
}

/** The sector at the end of every VHD; a dynamic one also begins with it. */
export function encodeFooter({ subformat, creator, sizeBytes, timestampSeconds, uuid }: Footer): Buffer {
  const footer = Buffer.alloc(sectorBytes)
  footer.write(cookies.footer, footerFields.cookie, 'latin1')
  footer.writeUInt32BE(features.reserved, footerFields.features)
  footer.writeUInt32BE(formatVersion, footerFields.version)
  footer.writeBigUInt64BE(subformat === 'fixed' ? noOffset : BigInt(headerOffset), footerFields.dataOffset)
  footer.writeUInt32BE(timestampSeconds, footerFields.timestamp)
  footer.write(creator.application, footerFields.creatorApplication, 4, 'latin1')
  footer.writeUInt32BE(creator.version, footerFields.creatorVersion)
  footer.writeUInt32BE(creator.hostSystem, footerFields.creatorSystem)
  // CloudStack reads the first of the two, most hypervisors the second.
  footer.writeBigUInt64BE(BigInt(sizeBytes), footerFields.originalSize)
  footer.writeBigUInt64BE(BigInt(sizeBytes), footerFields.currentSize)
  footer.writeUInt32BE(packGeometry(geometryOf(sizeBytes)), footerFields.geometry)
  footer.writeUInt32BE(diskTypes[subformat], footerFields.type)
  footer.write(uuid.replaceAll('-', ''), footerFields.uuid, 16, 'hex')
  footer.writeUInt32BE(checksum(footer, footerFields.checksum), footerFields.checksum)
  return footer
}

/** Offsets of a dynamic disk's header fields. Those about a parent are zero if there is none. */
export const headerFields = {
  cookie: 0,
  dataOffset: 8,
  tableOffset: 16,
  version: 24,
  tableEntries: 28,
  blockBytes: 32,
  checksum: 36,
  parentUuid: 40,
  parentTimestamp: 56,
  reserved: 60,
  parentName: 64,
  parentLocators: 576,
  moreReserved: 768,
} as const

/** The structure after the copy of the footer in a dynamic disk: the position of the block table, and its length. */
export function encodeHeader(tableEntries: number): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.write(cookies.header, headerFields.cookie, 'latin1')
  header.writeBigUInt64BE(noOffset, headerFields.dataOffset)
  header.writeBigUInt64BE(BigInt(tableOffset), headerFields.tableOffset)
  header.writeUInt32BE(formatVersion, headerFields.version)
  header.writeUInt32BE(tableEntries, headerFields.tableEntries)
  header.writeUInt32BE(blockBytes, headerFields.blockBytes)
  header.writeUInt32BE(checksum(header, headerFields.checksum), headerFields.checksum)
  return header
}

/** A table without any blocks. */
export function emptyTable(tableEntries: number): Buffer {
  return Buffer.alloc(padToSector(tableEntries * 4), 0xff)
}

/** Offsets of the fields in the map's header. */
export const batmapFields = { cookie: 0, offset: 8, sectors: 16, version: 20, checksum: 24 } as const

/** XenServer's map of blocks with every sector present, after a sector that describes it. It follows the block table. */
export function encodeBatmap(map: Buffer, offset: number): Buffer {
  const header = Buffer.alloc(sectorBytes)
  header.write(cookies.batmap, batmapFields.cookie, 'latin1')
  header.writeBigUInt64BE(BigInt(offset + sectorBytes), batmapFields.offset)
  header.writeUInt32BE(map.length / sectorBytes, batmapFields.sectors)
  header.writeUInt32BE(batmapVersion, batmapFields.version)
  header.writeUInt32BE(checksum(map), batmapFields.checksum)
  return Buffer.concat([header, map])
}

/** The first position at or after `end` for a block whose data, after the bitmap, is then aligned to a 4 KiB page. */
export function nextBlockOffset(end: number): number {
  return Math.ceil((end + bitmapBytes) / 4096) * 4096 - bitmapBytes
}

/** Whether the first bits of a bitmap are all set. */
export function isFull(bitmap: Buffer, bits: number): boolean {
  for (let bit = 0; bit < bits; bit += 1) if (!hasBit(bitmap, bit)) return false
  return true
}

/** The highest bit of a byte comes first. */
export function hasBit(bitmap: Buffer, bit: number): boolean {
  return ((bitmap[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0
}

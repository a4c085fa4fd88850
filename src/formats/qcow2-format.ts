/**
 * The structures of a qcow2 with compressed clusters, as bytes: QEMU's "Qcow2 Image File Format". Numbers are big-endian.
 * Clusters have QEMU's default size, which is also the size of a grain.
 */

import { grainBytes } from './grains.ts'

export const clusterBytes = grainBytes
const clusterBits = Math.log2(clusterBytes)

/** Unit for the position of a compressed cluster in the file. */
const sectorBytes = 512

/** Guest clusters per L2 table. */
export const tableEntries = clusterBytes / 8

/** Host clusters per refcount block. */
export const countsPerBlock = clusterBytes / 2

/** QEMU has read version 2 since 2008, and version 3 since 2012; the names are those of qemu-img's option. */
export type Compat = '0.10' | '1.1'

export interface Header {
  readonly compat: Compat
  readonly sizeBytes: number
  /** Entries of the L1 table, one for each L2 table that the disk can have. */
  readonly directoryEntries: number
  /** Positions of the L1 table and of the refcount table, as offsets in bytes. */
  readonly directoryOffset: number
  readonly countListOffset: number
  readonly countListClusters: number
}

/** The file's first cluster. The zeros after the header mean that no extensions follow. */
export function encodeHeader(header: Header): Buffer {
  const bytes = Buffer.alloc(clusterBytes)
  bytes.write('QFI\u00fb', 0, 'latin1')
  bytes.writeUInt32BE(header.compat === '0.10' ? 2 : 3, 4)
  bytes.writeUInt32BE(clusterBits, 20)
  bytes.writeBigUInt64BE(BigInt(header.sizeBytes), 24)
  bytes.writeUInt32BE(header.directoryEntries, 36)
  bytes.writeBigUInt64BE(BigInt(header.directoryOffset), 40)
  bytes.writeBigUInt64BE(BigInt(header.countListOffset), 48)
  bytes.writeUInt32BE(header.countListClusters, 56)
  if (header.compat === '0.10') return bytes
  // 16-bit refcounts, the only width in version 2, and the length of this header.
  bytes.writeUInt32BE(4, 96)
  bytes.writeUInt32BE(104, 100)
  return bytes
}

/** Set if the table's entry is the only reference, unless the cluster is compressed. */
const soleReference = 1n << 63n
const isCompressed = 1n << 62n
/** Bit position of the number of additional sectors in a compressed cluster's entry. */
const sectorsShift = BigInt(62 - (clusterBits - 8))

/** An entry of either table for a cluster stored uncompressed. A zero entry is a cluster of zeros. */
export function plainEntry(offset: number): bigint {
  return soleReference | BigInt(offset)
}

/** An entry for a compressed cluster, which can start and end anywhere. */
export function compressedEntry(offset: number, length: number): bigint {
  const sectors = Math.floor((offset + length - 1) / sectorBytes) - Math.floor(offset / sectorBytes)
  return isCompressed | (BigInt(sectors) << sectorsShift) | BigInt(offset)
}

export function encodeEntries(entries: BigUint64Array): Buffer {
  const bytes = Buffer.alloc(toClusters(entries.length * 8) * clusterBytes)
  for (const [index, entry] of entries.entries()) bytes.writeBigUInt64BE(entry, index * 8)
  return bytes
}

export function encodeCounts(counts: Uint16Array): Buffer {
  const bytes = Buffer.alloc(clusterBytes)
  for (const [index, count] of counts.entries()) bytes.writeUInt16BE(count, index * 2)
  return bytes
}

/** Rounds up to whole clusters. */
export function toClusters(bytes: number): number {
  return Math.ceil(bytes / clusterBytes)
}

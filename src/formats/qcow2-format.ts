/**
 * The structures of a qcow2 with compressed clusters, as bytes: QEMU's "Qcow2 Image File Format". Numbers are big-endian.
 * Clusters have QEMU's usual size, which is also that of a grain.
 */

import { grainBytes } from './grains.ts'

export const clusterBytes = grainBytes
const clusterBits = Math.log2(clusterBytes)

/** Unit of a compressed cluster's place in the file. */
const sectorBytes = 512

/** Clusters of the disk in one second-level table. */
export const tableEntries = clusterBytes / 8

/** Clusters of the file in one block of reference counts. */
export const countsPerBlock = clusterBytes / 2

/** QEMU reads version 2 since 2008, version 3 since 2012; the names are those of qemu-img's option. */
export type Compat = '0.10' | '1.1'

export interface Header {
  readonly compat: Compat
  readonly sizeBytes: number
  /** Entries of the first table, one for each second-level table that the disk could have. */
  readonly directoryEntries: number
  /** Places of the first table and of the list of counts: offsets in bytes. */
  readonly directoryOffset: number
  readonly countListOffset: number
  readonly countListClusters: number
}

/** The file's first cluster. The zeros behind the header mean that no extensions follow. */
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
  // 16-bit counts, the only ones in version 2, and the length of this header.
  bytes.writeUInt32BE(4, 96)
  bytes.writeUInt32BE(104, 100)
  return bytes
}

/** Set if the table's entry is the only reference, unless the cluster is compressed. */
const soleReference = 1n << 63n
const isCompressed = 1n << 62n
/** Position of the number of additional sectors in a compressed cluster's entry. */
const sectorsShift = BigInt(62 - (clusterBits - 8))

/** An entry of either table for a cluster stored uncompressed. An entry of zero is a cluster of zeros. */
export function plainEntry(offset: number): bigint {
  return soleReference | BigInt(offset)
}

/** An entry for a compressed cluster, which may begin and end anywhere. */
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

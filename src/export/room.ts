/** Estimates the disk space that an export will take. */

import { archiveOf, type FormatSettings, type TargetName, targets } from '../targets/registry.ts'
import type { Storage } from '../targets/target.ts'

/** The disk to make files from. */
export interface DiskSize {
  readonly sizeBytes: number
  /** How many of these bytes are not zeros, if known. */
  readonly dataBytes: number
}

export interface ExportRoom {
  /** The flattened disk, which exists during the export. */
  readonly flattenedBytes: number
  /** Space for each target's file while it is made, in addition to the flattened disk. */
  readonly targets: Readonly<Partial<Record<TargetName, number>>>
  /** The sum of all of these. */
  readonly totalBytes: number
}

/**
 * Size of files for a Linux system relative to its data, with a safety margin. Measured on a system VM's disk: a compressed
 * file 0.44, packed again 0.37, 2 MiB blocks with any data 1.15.
 */
const shares = { compressed: 0.5, packed: 0.45, blocks: 1.25 } as const

/** An estimate: files with incompressible data can be as large as the data. */
export function estimateRoom(
  chosen: readonly TargetName[],
  formats: FormatSettings,
  { sizeBytes, dataBytes }: DiskSize,
): ExportRoom {
  const bytes: Readonly<Record<Storage, number>> = {
    compressed: dataBytes * shares.compressed,
    blocks: Math.min(sizeBytes, dataBytes * shares.blocks),
    flattened: 0,
  }
  const packed = (target: TargetName) =>
    archiveOf(target, formats) === 'none' ? 0 : dataBytes * shares.packed
  const own = chosen.map(
    (target) => [target, Math.ceil(bytes[targets[target].storage] + packed(target))] as const,
  )
  const flattenedBytes = Math.min(sizeBytes, dataBytes)
  return {
    flattenedBytes,
    targets: Object.fromEntries(own),
    totalBytes: own.reduce((sum, [, bytes]) => sum + bytes, flattenedBytes),
  }
}

/** How much disk space an export will take, before it starts. */

import { archiveOf, type FormatSettings, type TargetName, targets } from '../targets/registry.ts'
import type { Storage } from '../targets/target.ts'

/** The disk to make files from. */
export interface DiskSize {
  readonly sizeBytes: number
  /** How much of it is not zeros, as far as known. */
  readonly dataBytes: number
}

export interface ExportRoom {
  /** The flattened disk, which exists during the export. */
  readonly flattenedBytes: number
  /** Space for each target's file while it is made, besides the flattened disk. */
  readonly targets: Readonly<Partial<Record<TargetName, number>>>
  /** All of it together. */
  readonly totalBytes: number
}

/**
 * Size of a Linux system's files relative to its data, with a safety margin. Measured on a system VM's disk: a compressed
 * file 0.44, packed once more 0.37, blocks of 2 MiB with any data 1.15.
 */
const shares = { compressed: 0.5, packed: 0.45, blocks: 1.25 } as const

/** An estimate: data that does not compress makes files as large as itself. */
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

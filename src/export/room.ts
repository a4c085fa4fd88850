/** How much room an export will take, before anything of it is there. */

import { archiveOf, type FormatSettings, type TargetName, targets } from '../targets/registry.ts'
import type { Storage } from '../targets/target.ts'

/** The disk that files are to be made of. */
export interface DiskSize {
  readonly sizeBytes: number
  /** How much of it is not zeros, as far as known. */
  readonly dataBytes: number
}

export interface ExportRoom {
  /** The flattened disk, which is there as long as the export takes. */
  readonly flattenedBytes: number
  /** What each target's file takes while it is made, beside the flattened disk. */
  readonly targets: Readonly<Partial<Record<TargetName, number>>>
  /** All of it together. */
  readonly totalBytes: number
}

/**
 * What files of a Linux system take of its data, with some more to be safe. Measured on a system VM's disk: a compressed
 * file 0.44, packed once more 0.37, blocks of 2 MiB with anything in them 1.15.
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

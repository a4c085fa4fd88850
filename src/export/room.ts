/** How much room an export will take, before anything of it is there. */

import type { Target } from '../config/image.ts'
import type { PipelineFields } from '../config/pipeline.ts'

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
  readonly targets: Readonly<Partial<Record<Target, number>>>
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
  targets: readonly Target[],
  formats: PipelineFields['formats'],
  { sizeBytes, dataBytes }: DiskSize,
): ExportRoom {
  const inBlocks = Math.min(sizeBytes, dataBytes * shares.blocks)
  const packed = (format: { readonly archive: string }) =>
    format.archive === 'none' ? 0 : dataBytes * shares.packed
  const bytes: Readonly<Record<Target, number>> = {
    kvm: dataBytes * shares.compressed + packed(formats.kvm),
    xenserver: inBlocks + packed(formats.xenserver),
    hyperv: inBlocks + packed(formats.hyperv),
    vmware: dataBytes * shares.compressed,
    // The flattened disk becomes the file.
    raw: packed(formats.raw),
  }
  const chosen = targets.map((target) => [target, Math.ceil(bytes[target])] as const)
  const flattenedBytes = Math.min(sizeBytes, dataBytes)
  return {
    flattenedBytes,
    targets: Object.fromEntries(chosen),
    totalBytes: chosen.reduce((sum, [, own]) => sum + own, flattenedBytes),
  }
}

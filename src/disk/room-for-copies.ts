/** The disk space that copies of a disk's partitions take. */

import type { ImageFile } from './image-file.ts'
import { sectorBytes } from './layout.ts'
import { requireRoom } from './no-room.ts'
import type { PartitionEntry } from './partitions.ts'
import { type MapEntry, mapImage } from './qemu-img.ts'

/**
 * Checks for the space that the copies take at most. A raw disk is not checked: it does not say where it contains only zeros,
 * which copies omit.
 * @throws PipelineError `no-space`
 */
export async function requireRoomForCopies(
  { path, format, node }: Pick<ImageFile, 'path' | 'format' | 'node'>,
  partitions: readonly Pick<PartitionEntry, 'startSector' | 'sectors'>[],
  signal: AbortSignal,
): Promise<void> {
  if (format === 'raw') return
  const data = (await mapImage(node, signal)).filter((range) => range.data && !range.zero)
  const bytes = partitions.reduce(
    (sum, { startSector, sectors }) =>
      sum + bytesWithin(data, startSector * sectorBytes, (startSector + sectors) * sectorBytes),
    0,
  )
  await requireRoom(bytes, `a copy of the disk ${path}`)
}

// --- internal ---

function bytesWithin(data: readonly MapEntry[], from: number, to: number): number {
  const within = ({ start, length }: MapEntry) =>
    Math.max(0, Math.min(to, start + length) - Math.max(from, start))
  return data.reduce((sum, range) => sum + within(range), 0)
}

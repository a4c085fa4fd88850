/** Where the partitions are on a disk that this program did not make, and whether they match the pipeline. */

import type { DiskFiles, DiskPartition } from '../disk/disk-files.ts'
import type { Disk } from '../disk/layout.ts'
import { type Layout, type PlacedPartition, sectorBytes } from '../disk/layout.ts'
import { isExtended } from '../disk/partitions.ts'
import type { Layer } from '../store/layer-record.ts'

const mebibyte = 1024 * 1024

/**
 * Reads the layout. Whatever made the disk has chosen its UUIDs, and may have rounded its sizes.
 * @returns also every difference from `disk`; the layout is only usable if there is none
 */
export function readLayout(
  disk: Disk,
  found: Pick<DiskFiles, 'sizeBytes' | 'partitions' | 'table'>,
): { readonly layout: Layout; readonly differences: readonly string[] } {
  const differences: string[] = []
  if (found.table !== 'dos') differences.push(`the partition table is ${found.table}, not dos`)
  const extended = found.partitions.find(({ type }) => isExtended(type))
  const places = found.partitions.filter(({ type }) => !isExtended(type))
  if (places.length !== disk.partitions.length) {
    differences.push(`there are ${places.length} partitions, not ${disk.partitions.length}`)
  }
  const partitions = disk.partitions.flatMap((wanted, index): PlacedPartition[] => {
    const place = places[index]
    if (place === undefined) return []
    differences.push(...comparePartition(wanted, place))
    const { number, startSector, sectors, uuid = '' } = place
    if (uuid === '') differences.push(`partition ${number} has no UUID`)
    return [{ ...wanted, number, startSector, sectors, uuid }]
  })
  if (!areInOrder(partitions, found.sizeBytes / sectorBytes))
    differences.push('its partitions are not in order')
  const diskId = found.partitions[0]?.partitionUuid?.split('-')[0] ?? ''
  return { layout: { sizeBytes: found.sizeBytes, diskId, extended, partitions }, differences }
}

/**
 * Combines what only a layer's record knows, positions and UUIDs of partitions, with the plan's layout. Undefined if the
 * partitions are not those of its disk, or do not fit on it.
 */
export function fitLayout(disk: Disk, recorded: NonNullable<Layer['layout']>): Layout | undefined {
  const sizeBytes = disk.sizeMiB * mebibyte
  const { diskId, extended, partitions: places } = recorded
  if (places.length !== disk.partitions.length) return undefined
  const partitions = disk.partitions.map((wanted, index): PlacedPartition => {
    const { number, startSector, sectors, uuid } = places[index] as (typeof places)[number]
    return { ...wanted, number, startSector, sectors, uuid }
  })
  const isFit =
    recorded.sizeBytes === sizeBytes &&
    partitions.every((partition) => isPlaced(partition, extended)) &&
    areInOrder(partitions, sizeBytes / sectorBytes) &&
    (extended === undefined || areInOrder([extended], sizeBytes / sectorBytes))
  return isFit ? { sizeBytes, diskId, extended, partitions } : undefined
}

function isPlaced(
  { number, primary, sizeMiB, startSector, sectors }: PlacedPartition,
  extended: NonNullable<Layer['layout']>['extended'],
): boolean {
  const isOff = sizeMiB !== undefined && Math.abs((sectors * sectorBytes) / mebibyte - sizeMiB) > roundingMiB
  if (isOff || primary !== number < 5) return false
  if (primary) return number !== extended?.number
  const isInside =
    extended !== undefined &&
    startSector > extended.startSector &&
    startSector + sectors <= extended.startSector + extended.sectors
  return isInside
}

/** Whether extents follow one another without overlap, and end within the disk. */
function areInOrder(
  stretches: readonly Pick<PlacedPartition, 'number' | 'startSector' | 'sectors'>[],
  diskSectors: number,
): boolean {
  return stretches.every(({ number, startSector, sectors }, index) => {
    const next = stretches[index + 1]
    const isBefore = next === undefined || (startSector + sectors <= next.startSector && number < next.number)
    return isBefore && startSector + sectors <= diskSectors
  })
}

/** partman counts in millions of bytes, then rounds to whole MiB. */
const roundingMiB = 2

function comparePartition(wanted: Disk['partitions'][number], found: DiskPartition): readonly string[] {
  const name = `partition ${found.number}`
  const sizeMiB = (found.sectors * sectorBytes) / mebibyte
  const isPrimary = found.number < 5
  const isOff = wanted.sizeMiB !== undefined && Math.abs(sizeMiB - wanted.sizeMiB) > roundingMiB
  return [
    ...(wanted.filesystem === found.filesystem
      ? []
      : [`${name} has ${found.filesystem ?? 'no filesystem'}, not ${wanted.filesystem}`]),
    ...(isOff ? [`${name} has ${sizeMiB.toFixed(1)} MiB, not ${wanted.sizeMiB}`] : []),
    ...(isPrimary === wanted.primary ? [] : [`${name} is ${isPrimary ? 'primary' : 'logical'}`]),
    ...(wanted.mount === found.mountPoint || wanted.filesystem === 'swap'
      ? []
      : [`${name} is mounted at ${found.mountPoint ?? 'no place'}, not ${wanted.mount}`]),
  ]
}

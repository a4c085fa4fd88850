/** Partitions in a difference: which differ, and which could not be read. */

import type { ChangedPartition, DiskDifference } from '../../diff/compare.ts'
import type { DiskPartition } from '../../disk/disk-files.ts'
import { sectorBytes } from '../../disk/layout.ts'
import { showName } from '../../disk/names.ts'
import { formatBytes } from '../../report/format.ts'
import type { Section } from './diff-section.ts'

/** Partitions that differ. */
export function renderPartitions(changed: readonly ChangedPartition[]): Section | undefined {
  if (changed.length === 0) return undefined
  const lines = changed.flatMap(({ number, before, after }) => [
    `partition ${number}`,
    `  - ${describePartition(before)}`,
    `  + ${describePartition(after)}`,
  ])
  return { title: 'Partitions', lines }
}

/** Filesystems that were not compared. */
export function renderUnread({ unread }: DiskDifference): Section | undefined {
  if (unread.length === 0) return undefined
  const lines = unread.map(({ number, filesystem, mountPoint }) =>
    showName(
      `partition ${number}: ${filesystem}, ${mountPoint === undefined ? 'mounted nowhere' : `on ${mountPoint}`}`,
    ),
  )
  return { title: 'Not read, and not compared', lines }
}

// --- internal ---

function describePartition(partition: DiskPartition | undefined): string {
  if (partition === undefined) return 'none'
  const {
    filesystem,
    type,
    startSector,
    sectors,
    uuid,
    partitionUuid,
    label,
    mountPoint,
    isBootable,
    superblock,
  } = partition
  const reserved = superblock?.reservedBlocks ?? 0
  const words = [
    filesystem ?? `type ${type}`,
    `${formatBytes(sectors * sectorBytes)} at sector ${startSector}`,
    uuid === undefined ? '' : `UUID ${uuid}`,
    partitionUuid === undefined ? '' : `PARTUUID ${partitionUuid}`,
    label === undefined ? '' : `label ${showName(label)}`,
    mountPoint === undefined ? '' : `on ${showName(mountPoint)}`,
    isBootable ? 'bootable' : '',
    reserved > 0 ? `${reserved} blocks reserved` : '',
  ]
  return words.filter(Boolean).join(', ')
}

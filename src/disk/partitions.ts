/** The partitions of a disk image and their content types, reading little more of the disk than its table. */

import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { makeFolder } from '../host/files.ts'
import { writeFile } from '../host/writing.ts'
import { copyBytes, extractBytes } from './image-bytes.ts'
import type { ImageFile } from './image-file.ts'
import { sectorBytes } from './layout.ts'
import { requireAtMost, unreadableDisk } from './unreadable.ts'

/** A range of the disk and its content type. */
export interface PartitionEntry {
  /** The number in `/dev/vda<number>`; 0 for a filesystem that fills the whole disk. */
  readonly number: number
  readonly startSector: number
  readonly sectors: number
  /** MBR: two hex digits; GPT: a UUID; empty if there is no table. */
  readonly type: string
  readonly isBootable: boolean
  /** The value of `PARTUUID=` in an fstab. */
  readonly partitionUuid: string | undefined
  /** Name of a GPT partition. */
  readonly partitionLabel: string | undefined
  /** blkid's name: `ext4`, `swap`, …; undefined if it finds nothing. */
  readonly filesystem: string | undefined
  readonly uuid: string | undefined
  readonly label: string | undefined
}

export interface PartitionTable {
  /** `dos`, `gpt`, …; `none` if a filesystem fills the whole disk. */
  readonly kind: string
  readonly partitions: readonly PartitionEntry[]
}

/** Reads the table with sfdisk, and the start of each partition with blkid. `folder` holds the data for them. */
export async function readPartitions(
  image: ImageFile,
  folder: string,
  signal: AbortSignal,
): Promise<PartitionTable> {
  await makeFolder(folder)
  const disk = join(folder, 'disk')
  await writeFile(disk, '')
  await truncate(disk, image.sizeBytes)
  // The table, and the backup of a GPT at the end.
  await copyBytes(image, 0, probedBytes, disk, signal)
  await copyBytes(image, Math.max(0, image.sizeBytes - probedBytes), probedBytes, disk, signal)
  const primary = await readTable(disk, signal)
  if (primary === undefined) return { kind: 'none', partitions: [await readWhole(image, folder, signal)] }
  await copyLogicalTables(image, disk, primary, signal)
  const table = (await readTable(disk, signal)) ?? primary
  requireAtMost(table.partitions.length, mostPartitions, 'partitions', image.path)
  const partitions: PartitionEntry[] = []
  for (const entry of table.partitions) {
    const isExtended = isExtendedType(table, entry)
    const found = isExtended ? nothing : await probe(image, entry, folder, signal)
    const number = Number(/\d+$/.exec(entry.node)?.[0])
    partitions.push({
      number,
      startSector: entry.start,
      sectors: entry.size,
      type: entry.type.toLowerCase(),
      isBootable: entry.bootable ?? false,
      partitionUuid: (entry.uuid ?? mbrUuid(table, number))?.toLowerCase(),
      partitionLabel: entry.name,
      ...found,
    })
  }
  return { kind: table.label, partitions }
}

/** Copies a partition into a sparse file. */
export async function copyPartition(
  image: ImageFile,
  { startSector, sectors }: PartitionEntry,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  await extractBytes(image, startSector * sectorBytes, sectors * sectorBytes, file, signal)
}

/** Whether an MBR partition is extended, by any of the three types for that. */
export function isExtended(type: string): boolean {
  return ['5', 'f', '85'].includes(type)
}

// --- internal ---

/** The usual capacity of a GPT. */
const mostPartitions = 128

/** Enough for every table, and for what blkid looks for at the start of a filesystem. */
const probedBytes = 1024 * 1024

interface SfdiskTable {
  readonly label: string
  readonly id?: string
  readonly partitions: readonly SfdiskPartition[]
}

interface SfdiskPartition {
  readonly node: string
  readonly start: number
  readonly size: number
  readonly type: string
  readonly bootable?: boolean
  readonly uuid?: string
  readonly name?: string
}

const environment = () => bareEnvironment({ PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` })

/** Undefined if the disk has no table. */
async function readTable(disk: string, signal: AbortSignal): Promise<SfdiskTable | undefined> {
  const found = await execa('sfdisk', ['--json', '--', disk], {
    reject: false,
    timeout: 60_000,
    cancelSignal: signal,
    ...environment(),
  })
  signal.throwIfAborted()
  if (found.exitCode === undefined) throw unreadableDisk(`sfdisk failed: ${found.shortMessage}`, found)
  if (found.exitCode !== 0) return undefined
  const { partitiontable } = JSON.parse(found.stdout) as { partitiontable: Partial<SfdiskTable> }
  const { label = '', id, partitions = [] } = partitiontable
  return { label, partitions, ...(id === undefined ? {} : { id }) }
}

/** The entry for a filesystem that fills the disk. */
async function readWhole(image: ImageFile, folder: string, signal: AbortSignal): Promise<PartitionEntry> {
  const size = Math.floor(image.sizeBytes / sectorBytes)
  const found = await probe(image, { start: 0, size }, folder, signal)
  if (found.filesystem === undefined) {
    throw unreadableDisk(`the disk ${image.path} has neither a partition table nor a filesystem`)
  }
  return {
    number: 0,
    startSector: 0,
    sectors: size,
    type: '',
    isBootable: false,
    partitionUuid: undefined,
    partitionLabel: undefined,
    ...found,
  }
}

function isExtendedType({ label }: SfdiskTable, { type }: SfdiskPartition): boolean {
  return label === 'dos' && isExtended(type.toLowerCase())
}

function mbrUuid({ label, id }: SfdiskTable, number: number): string | undefined {
  if (label !== 'dos' || id === undefined) return undefined
  return `${id.replace(/^0x/, '').padStart(8, '0')}-${number.toString(16).padStart(2, '0')}`
}

/** Copies the table before each logical partition, which says where the next one is. */
async function copyLogicalTables(
  image: ImageFile,
  disk: string,
  table: SfdiskTable,
  signal: AbortSignal,
): Promise<void> {
  const extended = table.partitions.find((entry) => isExtendedType(table, entry))
  if (extended === undefined) return
  let place = 0
  for (let count = 0; count < 128 && place < extended.size; count += 1) {
    const sector = await copyBytes(image, (extended.start + place) * sectorBytes, sectorBytes, disk, signal)
    // The second entry of four; a start of 0 ends the list.
    const next = sector.readUInt32LE(446 + 16 + 8)
    if (next === 0) return
    place = next
  }
}

const nothing = { filesystem: undefined, uuid: undefined, label: undefined }

/** blkid's exit status for a match, for no match, and for several matches. */
const blkidStatus = [0, 2, 8] as const

/** Determines the content type of a partition from its first bytes. */
async function probe(
  image: ImageFile,
  { start, size }: Pick<SfdiskPartition, 'start' | 'size'>,
  folder: string,
  signal: AbortSignal,
): Promise<Pick<PartitionEntry, 'filesystem' | 'uuid' | 'label'>> {
  const file = join(folder, 'start')
  const length = Math.min(probedBytes, size * sectorBytes)
  await extractBytes(image, start * sectorBytes, length, file, signal)
  // A table can claim more than the disk has, and even more than a file can have.
  await truncate(file, Math.min(size * sectorBytes, image.sizeBytes - start * sectorBytes))
  const found = await execa('blkid', ['-p', '-o', 'export', '--', file], {
    reject: false,
    timeout: 60_000,
    cancelSignal: signal,
    ...environment(),
  })
  signal.throwIfAborted()
  if (!blkidStatus.some((status) => status === found.exitCode)) {
    throw unreadableDisk(`blkid failed: ${found.stderr || found.shortMessage}`, found)
  }
  const field = (name: string) =>
    new RegExp(`^${name}=(.*)$`, 'm').exec(found.stdout)?.[1]?.replace(/\\(.)/g, '$1')
  return { filesystem: field('TYPE'), uuid: field('UUID'), label: field('LABEL') }
}

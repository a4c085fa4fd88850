/** Where the partitions of a disk are, as input for sfdisk and for the booted system. */

import { uuidFrom } from '../digest.ts'

/** One partition, in disk order. Exactly one has `grow`, and it is the last. */
export interface Partition {
  /** Mount point; absent for swap. */
  readonly mount?: string | undefined
  readonly filesystem: 'ext2' | 'ext4' | 'swap' | 'vfat'
  /** MiB; absent for the partition that takes the rest of the disk. */
  readonly sizeMiB?: number | undefined
  /** Takes the rest of the disk, and grows with it at first boot. */
  readonly grow: boolean
  /** Numbered below 5; all others are numbered from 5, and are logical partitions in an MBR. */
  readonly primary: boolean
  readonly bootable: boolean
  /** Share of blocks reserved for root, in percent. */
  readonly reservedPercent: number
}

/** The disk of every layer and every image of a variant. */
export interface Disk {
  /** Type of the partition table. @default an MBR */
  readonly table?: 'gpt' | undefined
  /** Whether its UEFI boot loader is signed. @default false */
  readonly secureBoot?: boolean | undefined
  /** Multiple of 126: exact in cylinders and in 2 MiB blocks, so that no hypervisor's format rounds it. */
  readonly sizeMiB: number
  readonly partitions: readonly Partition[]
}

export const sectorBytes = 512

/** Partitions start at whole MiB; a logical partition gives up the MiB before it for its own boot record. */
const alignmentSectors = 2048

const extendedNumber = 2

/** A partition with its position on the disk, in sectors of 512 bytes. */
export interface PlacedPartition extends Partition {
  /** The number in `/dev/vda<number>`. */
  readonly number: number
  readonly startSector: number
  readonly sectors: number
  /** UUID of the filesystem or swap area; for vfat, its serial number in the form `1234-ABCD`. */
  readonly uuid: string
  /** The partition's UUID in a GPT. */
  readonly partitionUuid?: string | undefined
}

export interface Layout {
  /** @default an MBR */
  readonly table?: 'gpt' | undefined
  readonly sizeBytes: number
  /** MBR disk signature, 8 hex digits; the disk's UUID in a GPT. */
  readonly diskId: string
  /** The extended partition, if there are logical ones. */
  readonly extended:
    | { readonly number: number; readonly startSector: number; readonly sectors: number }
    | undefined
  readonly partitions: readonly PlacedPartition[]
}

/** The EFI system partition, where UEFI firmware finds a boot loader; undefined on a disk for BIOS only. */
export function espOf<Part extends Pick<Partition, 'mount'>>(disk: {
  readonly partitions: readonly Part[]
}): Part | undefined {
  return disk.partitions.find(({ mount }) => mount === espMount)
}

/** Mount point of the EFI system partition. */
export const espMount = '/boot/efi'

/** UUID of the root filesystem. Every resolved disk has one; otherwise empty. */
export function rootUuidOf({ partitions }: Layout): string {
  return partitions.find(({ mount }) => mount === '/')?.uuid ?? ''
}

/** Computes the positions of a disk's partitions. UUIDs and the disk signature depend on `identity` alone. */
export function placePartitions(disk: Disk, identity: string): Layout {
  const isGpt = disk.table === 'gpt'
  // A GPT has a backup at the end of the disk.
  const diskSectors = (disk.sizeMiB * 1024 * 1024) / sectorBytes - (isGpt ? alignmentSectors : 0)
  const partitions: PlacedPartition[] = []
  const isExtended = !isGpt && disk.partitions.some(({ primary }) => !primary)
  let extended: Layout['extended']
  let next = alignmentSectors
  let number = 0
  for (const partition of disk.partitions) {
    number += 1
    // CloudStack's first boot grows partitions 2 and 6, so the extended partition has number 2 at any position, and the last
    // has 6.
    if (isExtended && partition.primary && number === extendedNumber) number += 1
    if (!partition.primary && number < 5) {
      if (isExtended) extended = { number: extendedNumber, startSector: next, sectors: diskSectors - next }
      number = 5
    }
    if (!partition.primary && !isGpt) next += alignmentSectors
    const sectors =
      partition.sizeMiB === undefined ? diskSectors - next : (partition.sizeMiB * 1024 * 1024) / sectorBytes
    const uuid = uuidOf(partition, `${identity} partition ${number}`)
    const partitionUuid = isGpt ? uuidFrom(`${identity} entry ${number}`) : undefined
    const place = { number, startSector: next, sectors, uuid }
    partitions.push({ ...partition, ...place, ...(partitionUuid === undefined ? {} : { partitionUuid }) })
    next += sectors
  }
  const diskId = uuidFrom(`${identity} disk`)
  const sizeBytes = disk.sizeMiB * 1024 * 1024
  return isGpt
    ? { table: 'gpt', sizeBytes, diskId, extended, partitions }
    : { sizeBytes, diskId: diskId.slice(0, 8), extended, partitions }
}

/** vfat has only 32 bits for it. */
function uuidOf({ filesystem }: Partition, identity: string): string {
  const uuid = uuidFrom(identity)
  return filesystem === 'vfat' ? `${uuid.slice(0, 4)}-${uuid.slice(4, 8)}`.toUpperCase() : uuid
}

/** The layout as input for sfdisk. */
export function renderSfdisk(layout: Layout): string {
  return layout.table === 'gpt' ? renderGpt(layout) : renderMbr(layout)
}

/** GPT partition types. The type of Linux filesystems implies no mount point, so systemd does not mount any automatically. */
const gptTypes = {
  vfat: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  swap: '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f',
  ext2: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  ext4: '0fc63daf-8483-4772-8e79-3d69d8477de4',
} as const

/** Keeps systemd from also activating the swap partition by itself: the fstab already lists it. */
const notAutomatic = ', attrs="GUID:63"'

function renderGpt({ diskId, partitions }: Layout): string {
  const lines = partitions.map(({ number, startSector, sectors, filesystem, partitionUuid = '' }) => {
    const attributes = filesystem === 'swap' ? notAutomatic : ''
    return `${number} : start=${startSector}, size=${sectors}, type=${gptTypes[filesystem]}, uuid=${partitionUuid}${attributes}`
  })
  return `${['label: gpt', `label-id: ${diskId}`, 'unit: sectors', '', ...lines].join('\n')}\n`
}

const mbrTypes = { vfat: 'ef', swap: '82', ext2: '83', ext4: '83' } as const

function renderMbr(layout: Layout): string {
  const lines = ['label: dos', `label-id: 0x${layout.diskId}`, 'unit: sectors', '']
  const line = (number: number, start: number, size: number, type: string, bootable: boolean) =>
    lines.push(`${number} : start=${start}, size=${size}, type=${type}${bootable ? ', bootable' : ''}`)
  const { extended } = layout
  for (const partition of layout.partitions) {
    if (extended !== undefined && partition.number === 5) {
      line(extended.number, extended.startSector, extended.sectors, '5', false)
    }
    const type = mbrTypes[partition.filesystem]
    line(partition.number, partition.startSector, partition.sectors, type, partition.bootable)
  }
  return `${lines.join('\n')}\n`
}

/**
 * The fstab options, by mount point, for mounts that must not make a boot fail. A busy host may take minutes to attach a
 * disk. Nothing waits for `/boot`, so systemd may look for it longer than its usual 90 seconds. But every service waits for
 * swap, which may be missing: so the wait is short, and a udev rule activates swap that appears later.
 */
export const optionalMounts = [
  { where: '/boot[^ ]*', options: 'nofail,x-systemd.device-timeout=5min' },
  { where: 'none', options: 'nofail,x-systemd.device-timeout=30s' },
] as const

function optionsOf(where: string, usual: string): string {
  const optional = optionalMounts.find((mount) => new RegExp(`^${mount.where}$`).test(where))
  return optional === undefined ? usual : `${usual},${optional.options}`
}

/** The layout as `/etc/fstab`. */
export function renderFstab(layout: Layout): string {
  const rows = layout.partitions.map((partition) => {
    if (partition.filesystem === 'swap') return ['none', partition, optionsOf('none', 'sw'), '0 0'] as const
    const { mount = '' } = partition
    if (mount === '/') return [mount, partition, 'errors=remount-ro', '0 1'] as const
    // Only root has a reason to look at what the firmware starts.
    if (partition.filesystem === 'vfat')
      return [mount, partition, optionsOf(mount, 'umask=0077'), '0 0'] as const
    return [mount, partition, optionsOf(mount, 'defaults'), '0 2'] as const
  })
  // The root comes first, so that it is mounted before anything below it.
  const sorted = rows.sort(([a], [b]) => (a === 'none' ? 1 : b === 'none' ? -1 : a.length - b.length))
  const lines = sorted.map(
    ([mount, { uuid, filesystem }, options, pass]) =>
      `UUID=${uuid} ${mount} ${filesystem} ${options} ${pass}`,
  )
  return `${['# <file system> <mount point> <type> <options> <dump> <pass>', ...lines].join('\n')}\n`
}

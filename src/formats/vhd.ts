/** The files for XenServer and Hyper-V: VHDs, written here because no current tool writes them as XenServer's do. */

import { type FileHandle, open } from 'node:fs/promises'
import { uuidFrom } from '../digest.ts'
import { imageNode } from '../disk/block-node.ts'
import { compareImages } from '../disk/qemu-img.ts'
import { messageOf } from '../errors.ts'
import { awaitedLater } from '../host/awaited-later.ts'
import { ExportFault } from './failures.ts'
import { writeAt } from './file-bytes.ts'
import { type DataBlock, type RawDisk, readDataBlocks } from './raw-disk.ts'
import { checkVhd } from './vhd-check.ts'
import {
  bitmapBytes,
  blockBytes,
  type Creator,
  creators,
  emptyTable,
  encodeBatmap,
  encodeFooter,
  encodeHeader,
  epochSeconds,
  geometryBytes,
  geometryOf,
  nextBlockOffset,
  padToSector,
  type Subformat,
  sectorBytes,
  tableOffset,
} from './vhd-format.ts'

export interface VhdOptions {
  /** Seed of the disk's UUID: the same for the same content. */
  readonly uuidSeed: string
  /** The file's timestamp: seconds since 1970. Readers refuse timestamps in the future. */
  readonly timestampSeconds: number
}

export interface HypervVhdOptions extends VhdOptions {
  /**
   * `dynamic` contains only blocks with data. `fixed` is the raw disk followed by a footer, as Azure requires; its zeros take
   * no space here either.
   *
   * @default 'dynamic'
   */
  readonly subformat?: Subformat
}

/** Called with the share of the disk read so far, from 0 to 1. */
export type OnProgress = (fraction: number) => void

/**
 * Writes and verifies a dynamic VHD like those of XenServer's own tools, so that these can grow it: with their creator, and
 * with their map of full blocks after the block table.
 */
export async function writeXenVhd(
  disk: RawDisk,
  file: string,
  options: VhdOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const plan: VhdPlan = { disk, creator: creators.xen, subformat: 'dynamic', hasBatmap: true }
  await writeVhd(plan, file, options, onProgress, signal)
}

/** Writes and verifies a VHD for Hyper-V. */
export async function writeHypervVhd(
  disk: RawDisk,
  file: string,
  options: HypervVhdOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const { subformat = 'dynamic' } = options
  await writeVhd(
    { disk, creator: creators.hyperv, subformat, hasBatmap: false },
    file,
    options,
    onProgress,
    signal,
  )
}

/**
 * Reads a VHD back: it must follow the rules of its format, and qemu must read the same data from it as from the disk. Files
 * written here have already been verified.
 */
export async function verifyVhd(disk: RawDisk, file: string, signal: AbortSignal): Promise<void> {
  const fault = await findFault(disk, file, signal)
  if (fault !== undefined) throw unsound(fault)
}

async function findFault(disk: RawDisk, file: string, signal: AbortSignal): Promise<string | undefined> {
  const faults = await checkVhd(file, signal)
  if (faults.length > 0) return faults.join('; ')
  return compareImages(imageNode('raw', disk.path), imageNode('vpc', file), signal).then(
    () => undefined,
    (error) => {
      signal.throwIfAborted()
      return messageOf(error)
    },
  )
}

/** The differences between kinds of VHDs. */
interface VhdPlan {
  readonly disk: RawDisk
  readonly creator: Creator
  readonly subformat: Subformat
  readonly hasBatmap: boolean
}

async function writeVhd(
  plan: VhdPlan,
  file: string,
  { uuidSeed, timestampSeconds }: VhdOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const { disk, creator, subformat } = plan
  requireExactSize(disk.sizeBytes)
  requirePast(timestampSeconds)
  const footer = encodeFooter({
    subformat,
    creator,
    sizeBytes: disk.sizeBytes,
    // The format cannot express dates before 2000.
    timestampSeconds: Math.max(0, timestampSeconds - epochSeconds),
    uuid: uuidFrom(`vhd ${creator.application} ${subformat} ${uuidSeed}`),
  })
  const target = await open(file, 'w')
  try {
    const write = subformat === 'fixed' ? writeFixed : writeDynamic
    await write(plan, target, footer, (index) => {
      signal.throwIfAborted()
      onProgress(((index + 1) * blockBytes) / disk.sizeBytes)
    })
  } finally {
    await target.close()
  }
  await verifyVhd(disk, file, signal)
  onProgress(1)
}

/** Writes the blocks in sequence, then the structures before them that point to them. */
async function writeDynamic(
  { disk, hasBatmap }: VhdPlan,
  target: FileHandle,
  footer: Buffer,
  onBlock: (index: number) => void,
): Promise<void> {
  const entries = disk.sizeBytes / blockBytes
  const table = emptyTable(entries)
  const map = Buffer.alloc(padToSector(Math.ceil(entries / 8)))
  const batmapOffset = tableOffset + table.length
  // Precedes each block's data: every sector counts as present.
  const bitmap = Buffer.alloc(bitmapBytes, 0xff)
  let end = batmapOffset + (hasBatmap ? sectorBytes + map.length : 0)
  await writeBehind(readDataBlocks(disk, blockBytes), async ({ index, data }) => {
    const offset = nextBlockOffset(end)
    table.writeUInt32BE(offset / sectorBytes, index * 4)
    map[index >> 3] = (map[index >> 3] ?? 0) | (0x80 >> (index & 7))
    end = offset + bitmapBytes + blockBytes
    onBlock(index)
    await writeAt(target, bitmap, offset)
    await writeAt(target, data, offset + bitmapBytes)
  })
  await writeAt(target, footer, end)
  const front = [footer, encodeHeader(entries), table]
  if (hasBatmap) front.push(encodeBatmap(map, batmapOffset))
  await writeAt(target, Buffer.concat(front), 0)
}

/** Writes every block at its own offset, so that the zeros between them stay holes. */
async function writeFixed(
  { disk }: VhdPlan,
  target: FileHandle,
  footer: Buffer,
  onBlock: (index: number) => void,
): Promise<void> {
  await writeBehind(readDataBlocks(disk, blockBytes), ({ index, data }) => {
    onBlock(index)
    return writeAt(target, data, index * blockBytes)
  })
  await writeAt(target, footer, disk.sizeBytes)
}

/** Writes each block while the next one is read, which saves a quarter of the time. */
async function writeBehind(
  blocks: AsyncIterable<DataBlock>,
  write: (block: DataBlock) => Promise<void>,
): Promise<void> {
  let written = Promise.resolve()
  try {
    for await (const block of blocks) {
      await written
      written = awaitedLater(write(block))
    }
  } finally {
    // The file must not be closed while something is being written to it.
    await written
  }
}

/** Some reader would round a size that the geometry or the blocks cannot express. */
function requireExactSize(sizeBytes: number): void {
  const expressed = geometryBytes(geometryOf(sizeBytes))
  if (expressed === sizeBytes && sizeBytes % blockBytes === 0) return
  const reason =
    expressed === sizeBytes
      ? 'is not made of whole blocks of 2 MiB'
      : `would be ${expressed} bytes to a hypervisor that counts in cylinders`
  throw new ExportFault(
    `as a VHD, the disk of ${sizeBytes} bytes ${reason}`,
    'give the disk a size that is a multiple of 126 MiB, between 252 and 32130 MiB.',
  )
}

function requirePast(timestampSeconds: number): void {
  if (timestampSeconds <= Date.now() / 1000) return
  const date = new Date(timestampSeconds * 1000).toISOString()
  throw new ExportFault(
    `its date, ${date}, is in the future, and XenServer refuses such a VHD`,
    'set the date of the pipeline to today or earlier, or correct the clock of this host.',
  )
}

function unsound(reason: string): ExportFault {
  return new ExportFault(
    `it is not what it should be: ${reason.trim()}`,
    'this is a bug: please report it with this message; the disk that it is made from is kept.',
  )
}

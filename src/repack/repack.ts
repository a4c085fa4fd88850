/** The final disk: the last stage's, recreated from its files, so that the same files give the same bytes. */

import { mkdir, open, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { imageNode } from '../disk/block-node.ts'
import { settleJournal } from '../disk/filesystem.ts'
import { extractBytes } from '../disk/image-bytes.ts'
import { type ImageFile, inspectImageFile } from '../disk/image-file.ts'
import { sectorBytes } from '../disk/layout.ts'
import { noRoomFor } from '../disk/no-room.ts'
import { copyPartition, isExtended, type PartitionEntry, readPartitions } from '../disk/partitions.ts'
import { convertImage } from '../disk/qemu-img.ts'
import { isNoSpace } from '../host/failures.ts'
import { writeFile } from '../host/writing.ts'
import { makeFat } from './fat.ts'
import { type FilesystemJob, makeFilesystem } from './filesystem.ts'
import { runTool } from './run-tool.ts'

export interface RepackRequest {
  /** qcow2 of the last layer. */
  readonly from: string
  /** qcow2 to make, without a backing file. */
  readonly to: string
  /** Latest timestamp of any file: seconds since 1970. */
  readonly epoch: number
  /** An existing folder for temporary files, with room for three times the disk's data. */
  readonly folder: string
  readonly onProgress: (text: string) => void
  readonly signal: AbortSignal
}

/**
 * Makes a disk with the same partitions and files. Everything outside partitions, i.e. the boot loader, is copied.
 * @throws PipelineError `repack-unfit`, `repack-failed`, `disk-unreadable`, `no-space`
 */
export async function repack(request: RepackRequest): Promise<void> {
  const { to, folder, onProgress, signal } = request
  const disk = join(folder, 'disk.raw')
  try {
    await makeDisk(request, disk)
  } catch (error) {
    throw isNoSpace(error) ? await noRoomFor('the final disk', error) : error
  }
  onProgress('writing the disk')
  await convertImage({ from: imageNode('raw', disk), to, format: 'qcow2' }, signal)
}

// --- internal ---

async function makeDisk(
  { from, epoch: date, folder, onProgress, signal }: RepackRequest,
  disk: string,
): Promise<void> {
  // e2fsprogs interpret 0 as no time at all, and then use the clock's.
  const epoch = Math.max(1, date)
  const image = await inspectImageFile(from, { format: 'qcow2', backing: 'same folder', signal })
  const { kind, partitions } = await readPartitions(image, join(folder, 'table'), signal)
  await writeFile(disk, '')
  await truncate(disk, image.sizeBytes)
  const held = partitions.filter(({ type }) => !(kind === 'dos' && isExtended(type)))
  for (const gap of gapsBetween(held, image.sizeBytes)) await copyStretch(image, gap, disk, folder, signal)
  for (const entry of held) {
    onProgress(`partition ${entry.number}`)
    await makePartition(image, entry, { disk, folder, epoch, signal })
  }
}

interface Stretch {
  readonly offset: number
  readonly sizeBytes: number
}

async function makePartition(image: ImageFile, entry: PartitionEntry, job: FilesystemJob): Promise<void> {
  const folder = join(job.folder, `partition-${entry.number}`)
  await mkdir(folder)
  if (/^ext[234]$/.test(entry.filesystem ?? '')) {
    const file = join(folder, 'filesystem')
    await copyPartition(image, entry, file, job.signal)
    const superblock = await settleJournal(file, job.signal)
    await makeFilesystem({ file, entry, superblock }, { ...job, folder })
  } else if (entry.filesystem === 'swap') {
    await makeSwap(entry, { ...job, folder })
  } else if (entry.filesystem === 'vfat') {
    const [from, to] = [join(folder, 'filesystem'), join(folder, 'made')]
    await copyPartition(image, entry, from, job.signal)
    await makeFat({ from, to, folder, epoch: job.epoch, signal: job.signal })
    await copyInto(to, job.disk, entry.startSector * sectorBytes)
  } else {
    const stretch = { offset: entry.startSector * sectorBytes, sizeBytes: entry.sectors * sectorBytes }
    await copyStretch(image, stretch, job.disk, folder, job.signal)
  }
  await rm(folder, { recursive: true })
}

/** The first page is all there is to an empty swap area. */
const swapPageBytes = 4096

async function makeSwap(
  { startSector, sectors, uuid = '', label = '' }: PartitionEntry,
  job: FilesystemJob,
): Promise<void> {
  const file = join(job.folder, 'swap')
  await writeFile(file, '', { mode: 0o600 })
  await truncate(file, sectors * sectorBytes)
  const named = label === '' ? [] : ['--label', label]
  await runTool('mkswap', ['--pagesize', `${swapPageBytes}`, '--uuid', uuid, ...named, file], job)
  await truncate(file, swapPageBytes)
  await copyInto(file, job.disk, startSector * sectorBytes)
}

/** What no partition covers: the table, the boot loader after it, and the tables of logical partitions. */
function gapsBetween(partitions: readonly PartitionEntry[], diskBytes: number): readonly Stretch[] {
  const sorted = [...partitions].sort((a, b) => a.startSector - b.startSector)
  const gaps: Stretch[] = []
  let end = 0
  for (const { startSector, sectors } of [...sorted, { startSector: diskBytes / sectorBytes, sectors: 0 }]) {
    if (startSector > end)
      gaps.push({ offset: end * sectorBytes, sizeBytes: (startSector - end) * sectorBytes })
    end = startSector + sectors
  }
  return gaps
}

async function copyStretch(
  image: ImageFile,
  { offset, sizeBytes }: Stretch,
  disk: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const file = join(folder, 'stretch')
  await extractBytes(image, offset, sizeBytes, file, signal)
  await copyInto(file, disk, offset)
  await rm(file)
}

const zeros = Buffer.alloc(1024 ** 2)

/** Copies a file into a disk, which stays sparse. */
async function copyInto(path: string, disk: string, offset: number): Promise<void> {
  const [from, to] = await Promise.all([open(path), open(disk, 'r+')])
  try {
    const chunk = Buffer.alloc(zeros.length)
    for (let at = 0; ; ) {
      const { bytesRead } = await from.read(chunk, 0, chunk.length, at)
      if (bytesRead === 0) return
      const isEmpty = chunk.compare(zeros, 0, bytesRead, 0, bytesRead) === 0
      if (!isEmpty) await to.write(chunk, 0, bytesRead, offset + at)
      at += bytesRead
    }
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

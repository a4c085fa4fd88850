/** The files in a disk image, read without booting it, mounting it, or being root. */

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isNoSpace } from '../host/failures.ts'
import type { Backing } from './chain.ts'
import type { DiskFormat } from './disk-format.ts'
import { digestContents, readContents, readTree, type Superblock, settleJournal } from './filesystem.ts'
import type { Mount } from './fstab.ts'
import { type ImageFile, inspectImageFile } from './image-file.ts'
import { mostNames } from './inodes.ts'
import { type Copy, type DiskFile, findMountPoint, findRoot, listFiles, type Place } from './mounting.ts'
import { noRoomFor } from './no-room.ts'
import { copyPartition, type PartitionEntry, readPartitions } from './partitions.ts'
import { followPath } from './paths.ts'
import { requireRoomForCopies } from './room-for-copies.ts'
import { requireInspectionTools } from './tools.ts'

export type { DiskFile } from './mounting.ts'

export interface DiskPartition extends PartitionEntry {
  /** Mount point in the booted system; undefined if the fstab does not mention the partition. */
  readonly mountPoint: string | undefined
  /** Superblock of an ext filesystem; undefined for all others, whose files are not read. */
  readonly superblock: Superblock | undefined
}

export interface DiskFiles {
  readonly path: string
  readonly format: ImageFile['format']
  readonly sizeBytes: number
  /** Kind of the partition table: `dos`, `gpt`, or `none`. */
  readonly table: string
  readonly partitions: readonly DiskPartition[]
  /** The lines of the disk's /etc/fstab. */
  readonly mounts: readonly Mount[]
  /** Every file by path, each folder before its content. Omits files that a mounted filesystem hides. */
  readonly list: () => Promise<ReadonlyMap<string, DiskFile>>
  /** Content of a regular file; undefined if it does not exist. Without `follow`, no part of the path may be a link. */
  readonly read: (path: string, options?: { readonly follow?: boolean }) => Promise<Buffer | undefined>
  /** Contents of those paths that are regular files, without following links. Much faster than one at a time. */
  readonly readMany: (paths: Iterable<string>) => Promise<ReadonlyMap<string, Buffer>>
  /** sha256, in hex, of those paths that are regular files; never holds a whole file in memory. */
  readonly digests: (paths: Iterable<string>) => Promise<ReadonlyMap<string, string>>
  /** Removes the copies made for reading. */
  readonly close: () => Promise<void>
}

export interface OpenDiskOptions {
  /**
   * Format of the image file. If absent, the content decides, and so the author of the disk does: specify the format of an
   * untrusted disk, as `formatByEnding` does.
   */
  readonly format?: DiskFormat | undefined
  /** @default 'none' */
  readonly backing?: Backing | undefined
  /** An existing folder for temporary files, which `close` removes from it. */
  readonly workFolder: string
  readonly signal: AbortSignal
}

/**
 * Opens a disk image. Copies its ext filesystems and replays the journals in the copies, as mounting would: a disk copied
 * from a running guest has data in its journals.
 * @throws PipelineError `disk-unreadable`, `no-space`, `tools`
 */
export async function openDisk(file: string, options: OpenDiskOptions): Promise<DiskFiles> {
  const { signal } = options
  await requireInspectionTools()
  const image = await inspectImageFile(file, options)
  const folder = await mkdtemp(join(options.workFolder, 'disk-'))
  try {
    const { kind, partitions } = await readPartitions(image, join(folder, 'table'), signal)
    await requireRoomForCopies(image, partitions.filter(isRead), signal)
    // All copies must have ended before the folder can be removed.
    const names = { left: mostNames }
    const copying = partitions.map((entry) => copyFilesystem(image, entry, folder, names, signal))
    await Promise.allSettled(copying)
    const copies = await Promise.all(copying)
    const { root, mounts } = await findRoot(file, copies, signal)
    const places = copies.map((copy) => ({ ...copy, mountPoint: findMountPoint(copy, root, mounts) }))
    const list = once(() => listFiles(places))
    const readMany = async (paths: Iterable<string>) => {
      const found = new Map<string, Buffer>()
      for (const [copy, files] of await chooseFiles(list, places, paths)) {
        const contents = await readContents(copy.file, files, signal)
        for (const { path, inode } of files) found.set(path, contents.get(inode) as Buffer)
      }
      return found
    }
    return {
      path: file,
      format: image.format,
      sizeBytes: image.sizeBytes,
      table: kind,
      partitions: places.map(({ entry, mountPoint, superblock }) => ({ ...entry, mountPoint, superblock })),
      mounts,
      list,
      readMany,
      read: async (path, { follow = false } = {}) => {
        const real = follow ? followPath(await list(), path) : path
        return real === undefined ? undefined : (await readMany([real])).get(real)
      },
      digests: async (paths) => digestFiles(await chooseFiles(list, places, paths), signal),
      close: () => rm(folder, { recursive: true, force: true }),
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw isNoSpace(error) ? await noRoomFor(`a copy of the disk ${file}`, error) : error
  }
}

// --- internal ---

const isRead = ({ filesystem = '' }: PartitionEntry) => /^ext[234]$/.test(filesystem)

async function copyFilesystem(
  image: Parameters<typeof copyPartition>[0],
  entry: PartitionEntry,
  folder: string,
  names: { left: number },
  signal: AbortSignal,
): Promise<Copy> {
  const file = join(folder, `partition-${entry.number}`)
  if (!isRead(entry)) {
    return { entry, file, superblock: undefined, tree: async () => new Map() }
  }
  await copyPartition(image, entry, file, signal)
  const superblock = await settleJournal(file, signal)
  const tree = once(async () => {
    const files = await readTree(file, names.left, signal)
    names.left -= files.size
    return files
  })
  return { entry, file, superblock, tree }
}

/** Calls a function once and returns the same result to every caller. */
function once<Result>(ask: () => Promise<Result>): () => Promise<Result> {
  let answer: Promise<Result> | undefined
  return () => {
    answer ??= ask()
    return answer
  }
}

/** The regular files among the paths, grouped by filesystem. */
async function chooseFiles(
  list: DiskFiles['list'],
  places: readonly Place[],
  paths: Iterable<string>,
): Promise<ReadonlyMap<Place, readonly DiskFile[]>> {
  const all = await list()
  const chosen = new Map<Place, DiskFile[]>()
  for (const path of new Set(paths)) {
    const file = all.get(path)
    const place = places.find(({ entry }) => entry.number === file?.partition)
    if (file?.type !== 'file' || place === undefined) continue
    const files = chosen.get(place) ?? []
    chosen.set(place, files)
    files.push(file)
  }
  return chosen
}

async function digestFiles(
  chosen: ReadonlyMap<Place, readonly DiskFile[]>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const [{ file: filesystem }, files] of chosen) {
    const digests = await digestContents(filesystem, files, signal)
    for (const { path, inode } of files) found.set(path, digests.get(inode) ?? '')
  }
  return found
}

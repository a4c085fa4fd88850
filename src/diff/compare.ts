/** The differences between two disks: every aspect of files, packages, partitions. */

import { comparePackages } from '../debian/compare-packages.ts'
import { readPackages } from '../debian/dpkg-status.ts'
import type { DiskFile, DiskFiles, DiskPartition } from '../disk/disk-files.ts'
import type { PackageChange } from '../report/report.ts'

/** An aspect in which a file differs. If its type does, nothing else is compared. */
export type FileAspect = 'type' | 'mode' | 'owner' | 'attributes' | 'target' | 'device' | 'content'

export interface ChangedFile {
  readonly path: string
  readonly before: DiskFile
  readonly after: DiskFile
  readonly aspects: readonly FileAspect[]
  /** sha256 before and after, if the content differs. */
  readonly digests: readonly [before: string, after: string] | undefined
}

/** A partition that differs; a side is undefined if that disk lacks it. */
export interface ChangedPartition {
  readonly number: number
  readonly before: DiskPartition | undefined
  readonly after: DiskPartition | undefined
}

/** All differences except times, inode numbers, and positions on the disk. Files are sorted by path. */
export interface DiskDifference {
  readonly added: readonly DiskFile[]
  readonly removed: readonly DiskFile[]
  readonly changed: readonly ChangedFile[]
  readonly packages: PackageChange
  readonly partitions: readonly ChangedPartition[]
  /** Filesystems on either disk whose files are not compared: not ext, or not in the disk's fstab. */
  readonly unread: readonly UnreadFilesystem[]
}

/** A filesystem that cannot be read. */
export interface UnreadFilesystem {
  readonly number: number
  readonly filesystem: string
  readonly mountPoint: string | undefined
}

/** Compares two disks. Reads every regular file that exists on both: none is assumed to be equal. */
export async function compareDisks(before: DiskFiles, after: DiskFiles): Promise<DiskDifference> {
  const [old, now] = await Promise.all([before.list(), after.list()])
  const common = [...old.values()].filter(({ path }) => now.has(path)).map(({ path }) => path)
  const files = common.filter((path) => old.get(path)?.type === 'file' && now.get(path)?.type === 'file')
  const [oldDigests, newDigests] = await Promise.all([before.digests(files), after.digests(files)])
  const changed = common.flatMap((path): readonly ChangedFile[] => {
    const [one, other] = [old.get(path) as DiskFile, now.get(path) as DiskFile]
    const digests = [oldDigests.get(path) ?? '', newDigests.get(path) ?? ''] as const
    const isContent = digests[0] !== digests[1]
    const aspects = [...compareFiles(one, other), ...(isContent ? (['content'] as const) : [])]
    if (aspects.length === 0) return []
    return [{ path, before: one, after: other, aspects, digests: isContent ? digests : undefined }]
  })
  const [oldPackages, newPackages] = await Promise.all([readVersions(before), readVersions(after)])
  return {
    added: [...now.values()].filter(({ path }) => !old.has(path)).sort(byPath),
    removed: [...old.values()].filter(({ path }) => !now.has(path)).sort(byPath),
    changed: changed.sort(byPath),
    packages: comparePackages(oldPackages, newPackages),
    partitions: comparePartitions(before.partitions, after.partitions),
    unread: findUnread([...before.partitions, ...after.partitions]),
  }
}

/** Whether nothing that was read differs. */
export function isEqual({ added, removed, changed, packages, partitions }: DiskDifference): boolean {
  const lists = [added, removed, changed, packages.added, packages.removed, packages.upgraded, partitions]
  return lists.every(({ length }) => length === 0)
}

/**
 * Narrows a difference to some paths and everything below them, without packages and partitions, which concern the whole
 * disk.
 */
export function narrow(difference: DiskDifference, paths: readonly string[]): DiskDifference {
  const isInside = ({ path }: { readonly path: string }) =>
    paths.some((prefix) => path === prefix || path.startsWith(prefix === '/' ? prefix : `${prefix}/`))
  return {
    added: difference.added.filter(isInside),
    removed: difference.removed.filter(isInside),
    changed: difference.changed.filter(isInside),
    packages: { added: [], removed: [], upgraded: [] },
    partitions: [],
    unread: difference.unread,
  }
}

/** How two files differ, apart from their content. */
export function compareFiles(before: DiskFile, after: DiskFile): readonly FileAspect[] {
  if (before.type !== after.type) return ['type']
  const differs: Readonly<Record<Exclude<FileAspect, 'type' | 'content'>, boolean>> = {
    mode: before.mode !== after.mode,
    owner: before.uid !== after.uid || before.gid !== after.gid,
    attributes: !haveSameAttributes(before, after),
    target: before.target !== after.target,
    device: before.device !== after.device,
  }
  return (Object.keys(differs) as (keyof typeof differs)[]).filter((aspect) => differs[aspect])
}

// --- internal ---

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1
}

function haveSameAttributes(before: DiskFile, after: DiskFile): boolean {
  const [old, now] = [before.attributes, after.attributes]
  if (before.flags !== after.flags) return false
  return old.size === now.size && [...old].every(([name, value]) => now.get(name)?.equals(value) ?? false)
}

async function readVersions(disk: DiskFiles): Promise<ReadonlyMap<string, string>> {
  return new Map([...(await readPackages(disk))].map(([name, { version }]) => [name, version]))
}

function comparePartitions(
  before: readonly DiskPartition[],
  after: readonly DiskPartition[],
): readonly ChangedPartition[] {
  const numbers = new Set([...before, ...after].map(({ number }) => number))
  return [...numbers]
    .sort((a, b) => a - b)
    .flatMap((number) => {
      const [old, now] = [before, after].map((list) => list.find((partition) => partition.number === number))
      const isSame = JSON.stringify(identity(old)) === JSON.stringify(identity(now))
      return isSame ? [] : [{ number, before: old, after: now }]
    })
}

function findUnread(partitions: readonly DiskPartition[]): readonly UnreadFilesystem[] {
  const found = partitions.flatMap(({ number, filesystem, mountPoint, superblock }) => {
    const isRead = superblock !== undefined && mountPoint !== undefined
    return isRead || filesystem === undefined || filesystem === 'swap'
      ? []
      : [{ number, filesystem, mountPoint }]
  })
  return [...new Map(found.map((unread) => [JSON.stringify(unread), unread])).values()]
}

/** What is fixed when a partition is created; how full it is depends on its files. */
function identity(partition: DiskPartition | undefined): unknown {
  if (partition === undefined) return undefined
  const { superblock, ...entry } = partition
  return { ...entry, blocks: superblock?.blocks, reservedBlocks: superblock?.reservedBlocks }
}

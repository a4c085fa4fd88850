/** Combines the filesystems of a disk into one tree, as in the booted system. */

import { readContents, type Superblock } from './filesystem.ts'
import { type Mount, namesPartition, parseFstab } from './fstab.ts'
import type { Inode } from './inodes.ts'
import type { PartitionEntry } from './partitions.ts'
import { requireAtMost, unreadableDisk } from './unreadable.ts'

/** One file of a disk, by its absolute path in the booted system. */
export interface DiskFile extends Inode {
  readonly path: string
  /** Number of its partition; inodes are numbered per partition. */
  readonly partition: number
}

/** A partition, and a copy of its filesystem if that is readable. */
export interface Copy {
  readonly entry: PartitionEntry
  /** Path of the copy. */
  readonly file: string
  readonly superblock: Superblock | undefined
  /** The tree, read once. */
  readonly tree: () => Promise<ReadonlyMap<string, Inode>>
}

/** A copy with its mount point. */
export interface Place extends Copy {
  readonly mountPoint: string | undefined
}

/** Limited because each line is compared with each partition. */
const mostFstabBytes = 64 * 1024

/** The filesystem that is the root according to its own fstab; otherwise the only one with an /etc. */
export async function findRoot(
  file: string,
  copies: readonly Copy[],
  signal: AbortSignal,
): Promise<{ readonly root: Copy; readonly mounts: readonly Mount[] }> {
  const candidates: { root: Copy; mounts: readonly Mount[] }[] = []
  for (const root of copies) {
    if (root.superblock === undefined) continue
    const tree = await root.tree()
    const fstab = tree.get('/etc/fstab')
    requireAtMost(fstab?.sizeBytes ?? 0, mostFstabBytes, 'bytes in its fstab', file)
    const inodes = fstab?.type === 'file' ? [fstab] : []
    const contents = await readContents(root.file, inodes, signal)
    const mounts = parseFstab([...contents.values()].join(''))
    const own = mounts.find(({ path }) => path === '/')
    if (own !== undefined && namesPartition(own.source, root.entry)) return { root, mounts }
    if (tree.has('/etc')) candidates.push({ root, mounts })
  }
  const [only, other] = candidates
  if (only !== undefined && other === undefined) return only
  const found = copies.map(({ entry }) => `${entry.number} ${entry.filesystem ?? entry.type}`).join(', ')
  throw unreadableDisk(
    `the disk ${file} has ${only === undefined ? 'no' : 'more than one'} root filesystem that can be read: its partitions are ${found || 'none'}`,
    undefined,
    'give the disk of an installed system: an ext2, ext3 or ext4 file system on it must have /etc, and one of them must be / in its fstab.',
  )
}

/** Mount point of a filesystem in the booted system; undefined if the fstab has none. */
export function findMountPoint(copy: Copy, root: Copy, mounts: readonly Mount[]): string | undefined {
  if (copy === root) return '/'
  const mount = mounts.find(({ source, path }) => path.startsWith('/') && namesPartition(source, copy.entry))
  return mount?.path === '/' ? undefined : mount?.path
}

/** Merges all trees into one, each in place of the folder that it is mounted on. */
export async function listFiles(places: readonly Place[]): Promise<ReadonlyMap<string, DiskFile>> {
  const files = new Map<string, DiskFile>()
  const mounted = places.flatMap((place) =>
    place.mountPoint === undefined ? [] : [{ ...place, mountPoint: place.mountPoint }],
  )
  const sorted = mounted.sort((a, b) => a.mountPoint.length - b.mountPoint.length)
  for (const { entry, superblock, tree, mountPoint } of sorted) {
    const below = mountPoint === '/' ? '' : mountPoint
    for (const path of [...files.keys()]) if (path.startsWith(`${below}/`)) files.delete(path)
    // The content of other filesystems is unknown, but the files that they hide are omitted all the same.
    if (superblock === undefined) continue
    for (const [path, inode] of await tree()) {
      const absolute = path === '/' ? mountPoint : below + path
      files.set(absolute, { ...inode, path: absolute, partition: entry.number })
    }
  }
  return files
}

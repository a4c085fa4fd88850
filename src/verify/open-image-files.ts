/** Opens an image's filesystems for checks. */

import { measureUsage } from '../debian/disk-usage.ts'
import { type DiskFile, openDisk } from '../disk/disk-files.ts'
import type { DiskSource } from '../disk/disk-source.ts'
import type { FileEntry, ImageFiles } from '../disk/image-files.ts'
import { followPath } from '../disk/paths.ts'
import type { DiskUsage } from '../report/verification.ts'

/** DOS partition types that only contain other partitions. */
const extendedTypes = new Set(['5', 'f', '05', '0f', '85'])

export interface OpenImageFiles extends ImageFiles {
  readonly measure: () => Promise<DiskUsage>
}

/** @param workFolder an existing folder with room for the disk's data */
export async function openImageFiles(
  source: DiskSource,
  workFolder: string,
  signal: AbortSignal,
): Promise<OpenImageFiles> {
  const disk = await openDisk(source.file, { format: source.format, workFolder, signal })
  const tree = await disk.list()
  const folders = groupByFolder(tree)
  // On Debian, /bin, /sbin and /lib are links.
  const real = (path: string) => followPath(tree, path)
  return {
    partitionTable: disk.table,
    partitions: disk.partitions
      .filter(({ type }) => disk.table !== 'dos' || !extendedTypes.has(type))
      .map(({ number, filesystem, isBootable, startSector, sectors, mountPoint, superblock }) => ({
        number,
        filesystem,
        bootable: isBootable,
        startSector,
        sectors,
        reservedBlocks: superblock?.reservedBlocks,
        mount: mountPoint,
      })),
    list: async (folder) => folders.get(real(folder) ?? '') ?? [],
    stat: async (path) => {
      const parent = real(path.slice(0, path.lastIndexOf('/')) || '/')
      return folders.get(parent ?? '')?.find(({ name }) => name === path.slice(path.lastIndexOf('/') + 1))
    },
    read: (path) => disk.read(path, { follow: true }),
    readAll: (paths) => disk.readMany(paths),
    measure: () => measureUsage(disk),
    close: disk.close,
  }
}

function groupByFolder(tree: ReadonlyMap<string, DiskFile>): ReadonlyMap<string, readonly FileEntry[]> {
  const folders = new Map<string, FileEntry[]>()
  for (const [path, { type, mode, sizeBytes, target }] of tree) {
    if (path === '/') continue
    const cut = path.lastIndexOf('/')
    const folder = path.slice(0, cut) || '/'
    const entries = folders.get(folder) ?? []
    const kind = type === 'file' || type === 'folder' || type === 'link' ? type : 'other'
    entries.push({ name: path.slice(cut + 1), type: kind, mode, sizeBytes, target })
    folders.set(folder, entries)
  }
  return folders
}

/** The sizes of a disk's folders. */

import type { DiskFile } from './disk-files.ts'

/**
 * Bytes in and below each folder, as `du --apparent-size` counts them: a file with several names counts only once, under its
 * first name.
 */
export function measureFolders(files: ReadonlyMap<string, DiskFile>): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>()
  const counted = new Set<string>()
  for (const { path, type, inode, partition, sizeBytes, links } of files.values()) {
    if (type === 'folder') sizes.set(path, sizes.get(path) ?? 0)
    if (type !== 'file') continue
    const identity = `${partition} ${inode}`
    if (links > 1 && counted.has(identity)) continue
    counted.add(identity)
    for (let folder = parentOf(path); ; folder = parentOf(folder)) {
      sizes.set(folder, (sizes.get(folder) ?? 0) + sizeBytes)
      if (folder === '/') break
    }
  }
  return sizes
}

/** The folder that contains a path; for `/`, itself. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

/** The size of a disk's files, by folder and by Debian package. */

import type { DiskFile, DiskFiles } from '../disk/disk-files.ts'
import { measureFolders, parentOf } from '../disk/folder-sizes.ts'
import { followPath } from '../disk/paths.ts'
import type { DiskUsage } from '../report/verification.ts'

/** A folder is reported if it has at least this share of all bytes. */
const noticeable = 1 / 500

/** Bytes in regular files; a file with several hard links counts once. */
export async function measureUsage(disk: Pick<DiskFiles, 'list' | 'readMany'>): Promise<DiskUsage> {
  const tree = await disk.list()
  const folders = measureFolders(tree)
  const filesBytes = folders.get('/') ?? 0
  return {
    filesBytes,
    folders: [...folders]
      .filter(([path, sizeBytes]) => path !== '/' && sizeBytes > 0 && sizeBytes >= filesBytes * noticeable)
      .map(([path, sizeBytes]) => ({ path, sizeBytes }))
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
    packages: await measurePackages(disk, tree),
  }
}

// --- internal ---

async function measurePackages(
  disk: Pick<DiskFiles, 'readMany'>,
  tree: ReadonlyMap<string, DiskFile>,
): Promise<DiskUsage['packages']> {
  const lists = [...tree.keys()].filter((path) => listName.test(path))
  const texts = await disk.readMany(lists)
  const folderOf = followFolders(tree)
  const counted = new Set<string>()
  const sizes = new Map<string, number>()
  for (const [list, text] of texts) {
    const name = listName.exec(list)?.[1] ?? ''
    for (const path of text.toString().split('\n')) {
      const folder = folderOf(parentOf(path))
      const file = tree.get(`${folder === '/' ? '' : folder}/${path.slice(path.lastIndexOf('/') + 1)}`)
      if (file?.type !== 'file') continue
      // Several lists can contain a diverted file, and a file can have several names.
      const identity = `${file.partition} ${file.inode}`
      if (counted.has(identity)) continue
      counted.add(identity)
      sizes.set(name, (sizes.get(name) ?? 0) + file.sizeBytes)
    }
  }
  return [...sizes]
    .map(([name, sizeBytes]) => ({ name, sizeBytes }))
    .sort((a, b) => b.sizeBytes - a.sizeBytes || (a.name < b.name ? -1 : 1))
}

/** `libc6:amd64.list` belongs to libc6. */
const listName = /^\/var\/lib\/dpkg\/info\/([^/:]+)(?::[^/]+)?\.list$/

/** Packages older than the merge of /lib into /usr/lib list their files at the old paths. */
function followFolders(tree: ReadonlyMap<string, DiskFile>): (folder: string) => string | undefined {
  const known = new Map<string, string | undefined>()
  return (folder) => {
    if (!known.has(folder)) known.set(folder, followPath(tree, folder))
    return known.get(folder)
  }
}

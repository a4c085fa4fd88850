import { expect, it } from 'vitest'
import { findGrowth } from '../../../src/diff/sizes.ts'
import type { DiskFile } from '../../../src/disk/disk-files.ts'
import { measureFolders } from '../../../src/disk/folder-sizes.ts'

/** Files by path, with their sizes; those of the same inode are the same file. */
function filesOf(sizes: Readonly<Record<string, number | readonly [size: number, inode: number]>>) {
  const files = new Map<string, DiskFile>()
  let next = 100
  for (const [path, value] of Object.entries(sizes)) {
    const [sizeBytes, inode] = typeof value === 'number' ? [value, next++] : value
    const type = path.endsWith('/') ? 'folder' : 'file'
    const links = typeof value === 'number' ? 1 : 2
    const name = path === '/' ? path : path.replace(/\/$/, '')
    files.set(name, { path: name, type, sizeBytes, inode, links, partition: 1 } as DiskFile)
  }
  return files
}

it('a folder is as large as all files in and below it, each counted once', () => {
  const sizes = measureFolders(
    filesOf({
      '/': 4096,
      '/a/': 4096,
      '/a/one': 10,
      '/a/b/': 4096,
      '/a/b/two': [5, 7],
      '/c/': 4096,
      '/c/same': [5, 7],
    }),
  )
  expect(Object.fromEntries(sizes)).toEqual({ '/': 15, '/a': 15, '/a/b': 5, '/c': 0 })
})

it('growth is told of the folder that has it, not of all above it', () => {
  const before = measureFolders(
    filesOf({ '/': 0, '/usr/share/doc/a': 100, '/usr/bin/x': 50, '/var/y': 10, '/same/z': 5 }),
  )
  const after = measureFolders(
    filesOf({ '/': 0, '/usr/share/doc/a': 900, '/usr/bin/x': 55, '/var/y': 0, '/same/z': 5 }),
  )
  expect(findGrowth(before, after, '/')).toEqual([
    { path: '/usr/share/doc', beforeBytes: 100, afterBytes: 900 },
    { path: '/var', beforeBytes: 10, afterBytes: 0 },
    { path: '/usr/bin', beforeBytes: 50, afterBytes: 55 },
  ])
})

it('growth is told of what is inside a folder', () => {
  const before = measureFolders(filesOf({ '/': 0, '/usr/a/x': 1, '/usrlocal/x': 1 }))
  const after = measureFolders(filesOf({ '/': 0, '/usr/a/x': 2, '/usr/new/x': 8, '/usrlocal/x': 9 }))
  expect(findGrowth(before, after, '/usr').map(({ path }) => path)).toEqual(['/usr/new', '/usr/a'])
})

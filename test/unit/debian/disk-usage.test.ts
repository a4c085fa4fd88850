import { expect, it } from 'vitest'
import { measureUsage } from '../../../src/debian/disk-usage.ts'
import type { DiskFile } from '../../../src/disk/disk-files.ts'

const info = '/var/lib/dpkg/info'

/** A disk on which /lib is a link to usr/lib, with the lists of two packages. */
const lists: Readonly<Record<string, string>> = {
  [`${info}/libc6:amd64.list`]: '/.\n/lib\n/lib/libc.so\n/usr/bin/ldd\n',
  [`${info}/other.list`]: '/usr/bin/ldd\n/usr/bin/same\n/gone\n',
}
const sizes: Readonly<Record<string, readonly [size: number, inode: number]>> = {
  '/usr/lib/libc.so': [5000, 1],
  '/usr/bin/ldd': [700, 2],
  '/usr/bin/same': [700, 2],
  '/opt/own': [300, 3],
  ...Object.fromEntries(Object.keys(lists).map((path, index) => [path, [0, 10 + index]])),
}

function makeDisk() {
  const files = new Map<string, DiskFile>()
  const add = (path: string, fields: Partial<DiskFile>) =>
    files.set(path, { path, sizeBytes: 0, links: 1, partition: 1, inode: 0, ...fields } as DiskFile)
  for (const path of ['/', '/opt', '/usr', '/usr/bin', '/usr/lib', '/var', '/var/lib', '/var/lib/dpkg', info])
    add(path, { type: 'folder' })
  add('/lib', { type: 'link', target: 'usr/lib' })
  for (const [path, [sizeBytes, inode]] of Object.entries(sizes))
    add(path, { type: 'file', sizeBytes, inode, links: inode === 2 ? 2 : 1 })
  return {
    list: async () => files,
    readMany: async (paths: Iterable<string>) =>
      new Map([...paths].map((path) => [path, Buffer.from(lists[path] ?? '')])),
  }
}

it('counts each file once, in its folders and for the package that lists it, whatever links lead there', async () => {
  expect(await measureUsage(makeDisk())).toEqual({
    filesBytes: 6000,
    folders: [
      { path: '/opt', sizeBytes: 300 },
      { path: '/usr', sizeBytes: 5700 },
      { path: '/usr/bin', sizeBytes: 700 },
      { path: '/usr/lib', sizeBytes: 5000 },
    ],
    packages: [{ name: 'libc6', sizeBytes: 5700 }],
  })
})

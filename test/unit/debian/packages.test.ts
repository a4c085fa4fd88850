import { expect, it } from 'vitest'
import { parsePackages, readPackages } from '../../../src/debian/dpkg-status.ts'
import type { DiskFiles } from '../../../src/disk/disk-files.ts'

const status = `Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.22.21

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc
Version: 2.41-12
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Description: GNU C Library: Shared libraries
 Version: this is no field, but a line of the description.
 .
 Package: nor is this.

Package: libc6
Status: install ok installed
Architecture: i386
Source: glibc (2.41-12)
Version: 2.41-12

Package: libsudo
Status: hold ok half-configured
Architecture: all
Source: sudo (1.9.16p2-3)
Priority: important
Pre-Depends: init-system-helpers (>= 1.54~)
Depends: libc6 (>= 2.38),
 libapparmor1 | libaudit1:any
Version: 1:1.9.16p2-3+b1


Package: exim4
Status: deinstall ok config-files
Architecture: amd64
Version: 4.98

Package: wanted
Status: install ok not-installed
`

it('the packages of a disk are those whose files are there, with their sources', () => {
  const packages = parsePackages(status)
  expect([...packages.keys()]).toEqual(['dpkg', 'libc6', 'libc6:i386', 'libsudo'])
  expect(packages.get('libc6')).toEqual({
    name: 'libc6',
    version: '2.41-12',
    architecture: 'amd64',
    status: 'installed',
    source: { name: 'glibc', version: '2.41-12' },
    priority: '',
    dependsOn: [],
  })
  expect(packages.get('libsudo')).toMatchObject({
    status: 'half-configured',
    source: { name: 'sudo', version: '1.9.16p2-3' },
    priority: 'important',
    dependsOn: ['init-system-helpers', 'libc6', 'libapparmor1', 'libaudit1'],
  })
})

it('a disk without dpkg has no packages', () => {
  expect([...parsePackages('')]).toEqual([])
})

it.each([
  ['no name', 'Package: \nVersion: 1'],
  ['a name with a space', 'Package: a b\nVersion: 1'],
  ['a name that turns letters around', 'Package: a\u202eb\nVersion: 1'],
  ['a version with markup', 'Package: a\nVersion: 1<b>'],
  ['a source that controls a terminal', 'Package: a\nVersion: 1\nSource: \u001b[2J'],
])('no disk has a package with %s', async (_what, fields) => {
  const text = `${fields}\nStatus: install ok installed\nArchitecture: amd64\n`
  const disk = { path: 'disk.raw', read: async () => Buffer.from(text) } as unknown as DiskFiles
  await expect(readPackages(disk)).rejects.toMatchObject({
    code: 'disk-unreadable',
    message: expect.stringContaining('cannot read the disk disk.raw: its dpkg lists "'),
  })
})

/** Small disks that would take any time and memory to read: what a filesystem says costs its author nothing. */

import { execFileSync } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { readPackages } from '../../../src/debian/dpkg-status.ts'
import { type DiskFiles, openDisk } from '../../../src/disk/disk-files.ts'
import { changeFilesystem, makeFilesystem, makeTree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { pathOfTools } from '../../support/path-of-tools.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const uuid = '6f1e9a3c-0d5b-4c27-8a4e-3b0f6c1d2e4f'
const tree = { 'etc/fstab': `UUID=${uuid} / ext4 defaults 0 1\n`, 'etc/big': '', 'var/lib/dpkg/status': '' }

/** The checksum of a GPT. Node.js has one of its own from version 20.15 only. */
function crc32(bytes: Buffer): number {
  let sum = ~0
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb8_8320 : 0)
  }
  return ~sum >>> 0
}

/** Opens a disk whose files of these names have holes only, and acts on it. */
async function within<Result>(
  holes: Readonly<Record<string, number>>,
  requests: readonly string[],
  action: (disk: DiskFiles) => Promise<Result>,
): Promise<Result> {
  const from = makeTree(path('tree'), tree)
  for (const [name, bytes] of Object.entries(holes)) truncateSync(path('tree', name), bytes)
  makeFilesystem(path('disk'), { type: 'ext4', sizeMiB: 16, from, uuid, words: ['-b', '1024', '-N', '4096'] })
  if (requests.length > 0) changeFilesystem(path('disk'), requests)
  const disk = await openDisk(path('disk'), {
    format: 'raw',
    workFolder: path(),
    signal: new AbortController().signal,
  })
  return action(disk).finally(disk.close)
}

describeWith(['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img'], 'a hostile filesystem', () => {
  it('may have folders within folders, but not without end', async () => {
    const nested = (levels: number) => Array(levels).fill(['mkdir a', 'cd a']).flat()
    expect((await within({}, nested(150), (disk) => disk.list())).has('/a'.repeat(150))).toBe(true)
    const refusal = within({}, nested(250), (disk) => disk.list())
    await expect(refusal).rejects.toMatchObject({ code: 'disk-unreadable' })
    await expect(refusal).rejects.toThrow('has 201 levels of folders; the limit is 200')
  })

  it('has no long paths to many folders', async () => {
    const levels = Array(190)
      .fill([`mkdir ${'x'.repeat(250)}`, `cd ${'x'.repeat(250)}`])
      .flat()
    const names = Array.from({ length: 2500 }, (_, number) => `mkdir ${number}`)
    const refusal = within({}, [...levels, ...names], (disk) => disk.list())
    await expect(refusal).rejects.toThrow(/has \d+ characters in paths; the limit is 100000000$/)
  })

  it('has files with holes, but not with more than can be read', async () => {
    const digest = (bytes: number) => within({ 'etc/big': bytes }, [], (disk) => disk.digests(['/etc/big']))
    expect((await digest(2 ** 20)).get('/etc/big')).toMatch(/^30e14955/)
    await expect(digest(3 * 2 ** 40)).rejects.toThrow(
      /has 32985348\d+ bytes in files, holes included; the limit is \d+$/,
    )
  })

  it('has no text that no memory can hold', async () => {
    const read = within({ 'etc/big': 700 * 2 ** 20 }, [], (disk) => disk.read('/etc/big'))
    await expect(read).rejects.toThrow('has 734003200 bytes in a file that is read; the limit is 268435456')
    const packages = within({ 'var/lib/dpkg/status': 100 * 2 ** 20 }, [], readPackages)
    await expect(packages).rejects.toThrow(
      'has 104857600 bytes in the status of its dpkg; the limit is 33554432',
    )
    const open = within({ 'etc/fstab': 2 ** 20 }, [], (disk) => disk.list())
    await expect(open).rejects.toThrow('has 1048576 bytes in its fstab; the limit is 65536')
  })

  it.each([2n ** 40n, 2n ** 60n, 2n ** 63n - 1n])('has no partition that ends at sector %s', async (last) => {
    const table = '1 : start=2048, size=8192, type=0fc63daf-8483-4772-8e79-3d69d8477de4'
    writeFileSync(path('disk'), '')
    truncateSync(path('disk'), 16 * 2 ** 20)
    execFileSync('sfdisk', ['-q', path('disk')], { input: `label: gpt\n${table}\n` })
    const bytes = readFileSync(path('disk'))
    // The last sector of the first entry, and the checksums of all entries and of the header.
    bytes.writeBigUInt64LE(last, 1024 + 40)
    bytes.writeUInt32LE(crc32(bytes.subarray(1024, 1024 + 128 * 128)), 512 + 88)
    bytes.writeUInt32LE(0, 512 + 16)
    bytes.writeUInt32LE(crc32(bytes.subarray(512, 512 + 92)), 512 + 16)
    writeFileSync(path('disk'), bytes)
    const options = { format: 'raw', workFolder: path(), signal: new AbortController().signal } as const
    await expect(openDisk(path('disk'), options)).rejects.toMatchObject({ code: 'disk-unreadable' })
  })

  it('has no more partitions than a table has room for', async () => {
    writeFileSync(path('disk'), '')
    truncateSync(path('disk'), 16 * 2 ** 20)
    const lines = Array.from({ length: 200 }, (_, number) => `start=${2200 + 8 * number}, size=8`)
    const input = ['label: gpt', 'table-length: 400', 'first-lba: 2100', ...lines, ''].join('\n')
    execFileSync('sfdisk', ['--quiet', path('disk')], {
      env: { ...process.env, PATH: pathOfTools },
      input,
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    const signal = new AbortController().signal
    const refusal = openDisk(path('disk'), { format: 'raw', workFolder: path(), signal })
    await expect(refusal).rejects.toThrow('has 200 partitions; the limit is 128')
  })
})

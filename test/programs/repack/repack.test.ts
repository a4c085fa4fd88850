import { execFileSync } from 'node:child_process'
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { compareDisks, isEqual } from '../../../src/diff/compare.ts'
import { withDisks } from '../../../src/diff/with-disks.ts'
import { sha256File } from '../../../src/host/hash-file.ts'
import { repack } from '../../../src/repack/repack.ts'
import { changeFilesystem, makeDisk, makeFilesystem, makeTree, type Tree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const epoch = 1_793_491_200
const { signal } = new AbortController()

const table = `label: dos
label-id: 0x5a6b7c8d
unit: sectors
1 : start=2048, size=16384, type=83, bootable
2 : start=18432, size=112640, type=5
5 : start=20480, size=8192, type=82
6 : start=30720, size=81920, type=83
`
const starts = { boot: 2048, swap: 20480, root: 30720 } as const
const uuids = {
  boot: '2b7d5e10-93c4-4f6a-b1e8-7a9c0d3f5e21',
  swap: '0d4c9f5a-5b0e-4f0e-9d6c-8f1f3f6a7b2c',
  root: '6f1e9a3c-0d5b-4c27-8a4e-3b0f6c1d2e4f',
} as const

const rootTree: Tree = {
  'etc/fstab': `UUID=${uuids.root} / ext4 defaults 0 1\nUUID=${uuids.boot} /boot ext2 defaults 0 2\nUUID=${uuids.swap} none swap sw 0 0\n`,
  'etc/a "quoted" name': 'quotes\n',
  'etc/<12>': 'looks like an inode\n',
  'etc/long': [`/${'x/'.repeat(40)}target`],
  'etc/short': ['fstab'],
  'usr/bin/[': 'a bracket\n',
  'usr/bin/Fő': 'not ASCII\n',
  'usr/empty': '',
  'usr/large': Buffer.alloc(300_000, 'abc'),
  boot: null,
}

/** What only root could put into a folder. */
const special = [
  'mknod null c 1 3',
  'mknod sda b 8 0',
  'mknod pipe p',
  'set_inode_field /usr/empty uid 100000',
  'set_inode_field /usr/empty gid 12',
  'set_inode_field /usr/bin/[ mode 0104755',
  'set_inode_field /usr/large flags 0x80010',
  'ea_set /usr/bin/[ user.note "a value that is longer than what fits beside the inode: it has a block of its own"',
]

interface Way {
  /** Names made and removed before the others, so that inodes and blocks lie elsewhere. */
  readonly before?: readonly string[]
  /** When files were written: seconds since 1970. */
  readonly writtenAt: number
}

/** A disk of these files that came there in one way or another. */
function makeSource(name: string, { before = [], writtenAt }: Way): string {
  const root = makeTree(path(`${name}-root`), rootTree)
  linkSync(join(root, 'etc/fstab'), join(root, 'usr/same'))
  writeFileSync(Buffer.concat([Buffer.from(`${root}/usr/bytes-`), Buffer.from([0xff, 0xe9])]), 'not UTF-8\n')
  writeFileSync(join(root, 'usr/sparse'), 'begins\n')
  truncateSync(join(root, 'usr/sparse'), 3_000_000)
  for (const file of ['etc/fstab', 'usr/empty', 'usr/sparse'])
    utimesSync(join(root, file), writtenAt, writtenAt)
  utimesSync(join(root, 'usr/bin/['), 1_500_000_000, 1_500_000_000)
  for (const file of before) writeFileSync(join(root, file), Buffer.alloc(50_000, file))
  makeFilesystem(path(`${name}-6`), { type: 'ext4', sizeMiB: 40, from: root, uuid: uuids.root })
  changeFilesystem(path(`${name}-6`), [...before.map((file) => `rm /${file}`), ...special])
  const boot = makeTree(path(`${name}-boot`), { vmlinuz: 'a kernel\n', 'grub/grub.cfg': 'linux /vmlinuz\n' })
  makeFilesystem(path(`${name}-1`), {
    type: 'ext2',
    sizeMiB: 8,
    from: boot,
    uuid: uuids.boot,
    label: 'boot',
    words: ['-b', '1024'],
  })
  writeFileSync(path(`${name}-5`), '')
  truncateSync(path(`${name}-5`), 4 * 1024 ** 2)
  execFileSync('mkswap', ['--uuid', uuids.swap, path(`${name}-5`)], {
    stdio: 'ignore',
    env: { PATH: '/usr/sbin:/sbin' },
  })
  // What a guest has paged out.
  const swap = openSync(path(`${name}-5`), 'r+')
  writeSync(swap, Buffer.alloc(8192, `${writtenAt}`), 0, 8192, 65_536)
  closeSync(swap)
  const disk = path(`${name}.raw`)
  makeDisk(disk, 64, table, {
    [starts.boot]: path(`${name}-1`),
    [starts.swap]: path(`${name}-5`),
    [starts.root]: path(`${name}-6`),
  })
  const file = openSync(disk, 'r+')
  writeSync(file, 'boot code', 0)
  writeSync(file, 'core of the boot loader', 512)
  closeSync(file)
  const qcow2 = path(`${name}.qcow2`)
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', disk, qcow2])
  return qcow2
}

async function repacked(from: string, date = epoch): Promise<string> {
  const to = from.replace('.qcow2', '-new.qcow2')
  rmSync(path('work'), { recursive: true, force: true })
  mkdirSync(path('work'))
  await repack({ from, to, epoch: date, folder: path('work'), onProgress: () => undefined, signal })
  return to
}

const diskOf = (file: string) => ({ name: file, file, format: 'qcow2' as const, backing: 'none' as const })

const early: Way = { writtenAt: epoch + 1000 }
const late: Way = { before: ['aaa', 'etc/zzz', 'usr/mmm'], writtenAt: epoch + 90_000 }

describeWith(['qemu-img', 'mke2fs', 'debugfs', 'sfdisk', 'mkswap'], 'a disk that is made anew', () => {
  it('has the same files in every respect, on the same partitions', async () => {
    const source = makeSource('source', early)
    await withDisks([diskOf(source), diskOf(await repacked(source))], signal, async (disks) => {
      expect(isEqual(await compareDisks(...disks))).toBe(true)
      const [old, now] = await Promise.all(disks.map(async (disk) => [...(await disk.list()).keys()].sort()))
      expect(now).toEqual(old)
      const [before, after] = disks.map(({ partitions }) =>
        partitions.map(({ uuid, label }) => [uuid, label]),
      )
      expect(after).toEqual(before)
    })
  })

  it('has the same bytes, whatever way its files came there', async () => {
    const one = await repacked(makeSource('one', early))
    const other = await repacked(makeSource('other', late))
    expect(await sha256File(other)).toBe(await sha256File(one))
    expect(await sha256File(await repacked(one))).toBe(await sha256File(one))
  })

  it('has the same bytes with the first date of all, for which programs take the clock', async () => {
    const source = makeSource('source', early)
    const one = await sha256File(await repacked(source, 0))
    await sleep(1100)
    expect(await sha256File(await repacked(source, 0))).toBe(one)
  })

  it('has no time later than the date, and keeps those before', async () => {
    const file = diskOf(await repacked(makeSource('source', early)))
    await withDisks([file, file], signal, async ([disk]) => {
      const files = await disk.list()
      expect(Math.max(...[...files.values()].map(({ modifiedAt }) => modifiedAt))).toBe(epoch)
      expect(files.get('/usr/bin/[')?.modifiedAt).toBe(1_500_000_000)
    })
  })

  it('has the boot loader outside of partitions, and nothing of what was paged out', async () => {
    const raw = path('new.raw')
    execFileSync('qemu-img', ['convert', '-O', 'raw', await repacked(makeSource('source', early)), raw])
    const bytes = readFileSync(raw)
    expect(bytes.subarray(0, 9).toString()).toBe('boot code')
    expect(bytes.subarray(512, 535).toString()).toBe('core of the boot loader')
    const swap = bytes.subarray(starts.swap * 512 + 4096, starts.swap * 512 + 4 * 1024 ** 2)
    expect(swap.every((byte) => byte === 0)).toBe(true)
  })

  it('is refused if a file cannot be made, by its name', async () => {
    const source = makeSource('source', early)
    execFileSync('qemu-img', ['convert', '-O', 'raw', source, path('socket.raw')])
    changeFilesystem(`${path('socket.raw')}?offset=${starts.root * 512}`, [
      'set_inode_field /pipe mode 0140755',
    ])
    execFileSync('qemu-img', [
      'convert',
      '-f',
      'raw',
      '-O',
      'qcow2',
      path('socket.raw'),
      path('socket.qcow2'),
    ])
    await expect(repacked(path('socket.qcow2'))).rejects.toMatchObject({
      code: 'repack-unfit',
      message: 'the final disk cannot be recreated: /pipe is a socket',
    })
  })
})

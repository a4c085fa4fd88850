import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { type DiskFiles, openDisk } from '../../../src/disk/disk-files.ts'
import type { DiskFormat } from '../../../src/disk/disk-format.ts'
import { changeFilesystem, makeDisk, makeFilesystem } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
afterEach(() => vi.unstubAllEnvs())
const rootUuid = '6f1e9a3c-0d5b-4c27-8a4e-3b0f6c1d2e4f'
const bootUuid = '2b7d5e10-93c4-4f6a-b1e8-7a9c0d3f5e21'

/** As setcap writes `cap_net_raw`. */
const capability = '0100000200200000000000000000000000000000'

/** Opens a disk for the time of an action. */
async function inDisk<Result>(
  file: string,
  format: DiskFormat | undefined,
  action: (disk: DiskFiles) => Promise<Result>,
): Promise<Result> {
  mkdirSync(path('work'), { recursive: true })
  const disk = await openDisk(file, {
    format,
    backing: 'same folder',
    workFolder: path('work'),
    signal: new AbortController().signal,
  })
  try {
    return await action(disk)
  } finally {
    await disk.close()
    expect(readdirSync(path('work'))).toEqual([])
  }
}

/** A tree with an fstab. */
function makeTree(name: string, fstab: string): (...names: string[]) => string {
  mkdirSync(path(name, 'etc'), { recursive: true })
  writeFileSync(path(name, 'etc', 'fstab'), fstab)
  return (...names) => path(name, ...names)
}

const logicalTable = `label: dos
label-id: 0x5a6b7c8d
unit: sectors
1 : start=2048, size=8192, type=83, bootable
2 : start=10240, size=55296, type=5
5 : start=12288, size=2048, type=82
6 : start=16384, size=20480, type=83
7 : start=40960, size=8192, type=83
`

/** The shape of the system VM's disk: a boot partition, swap, and the root behind it in the extended partition. */
function makeLogicalDisk(): void {
  const tree = makeTree(
    'root',
    `# a comment\nUUID=${rootUuid} / ext4 errors=remount-ro 0 1\nUUID=${bootUuid} /boot/ ext2 defaults 0 2\n/dev/sda7 /srv/with\\040space ext3 defaults 0 2\ntmpfs /tmp tmpfs size=1M 0 0\nUUID=0 none swap sw 0 0\n`,
  )
  mkdirSync(tree('boot', 'hidden'), { recursive: true })
  mkdirSync(tree('srv', 'with space'), { recursive: true })
  mkdirSync(tree('usr', 'lib', 'deep', 'deeper'), { recursive: true })
  writeFileSync(tree('usr', 'lib', 'deep', 'deeper', 'data'), Buffer.alloc(100_000, 'abc'))
  writeFileSync(tree('usr', 'lib', 'program'), '#!')
  chmodSync(tree('usr', 'lib', 'program'), 0o6755)
  linkSync(tree('usr', 'lib', 'program'), tree('usr', 'lib', 'same'))
  symlinkSync('usr/lib', tree('lib'))
  symlinkSync(`/${'x'.repeat(200)}`, tree('usr', 'lib', 'long'))
  symlinkSync('one\ntwo "three"', tree('usr', 'lib', 'odd'))
  mkdirSync(path('boot', 'grub'), { recursive: true })
  writeFileSync(path('boot', 'grub', 'grub.cfg'), 'set timeout=0\n')
  mkdirSync(path('srv'))
  writeFileSync(path('srv', 'page'), 'hello\n')
  makeFilesystem(path('p1'), { type: 'ext2', sizeMiB: 4, from: path('boot'), uuid: bootUuid })
  makeFilesystem(path('p6'), {
    type: 'ext4',
    sizeMiB: 10,
    from: path('root'),
    uuid: rootUuid,
    words: ['-m', '5'],
  })
  writeFileSync(path('capability'), Buffer.from(capability, 'hex'))
  changeFilesystem(path('p6'), [
    'cd /usr/lib',
    'mknod null c 1 3',
    'mknod pipe p',
    'set_inode_field /usr/lib/null uid 1000',
    'set_inode_field /usr/lib/null gid 3000000000',
    'set_inode_field /usr/lib/null mtime @4400000000',
    `ea_set -f ${path('capability')} /usr/lib/program security.capability`,
    `ea_set /usr/lib/program user.long ${'v'.repeat(60)}`,
  ])
  makeFilesystem(path('p7'), { type: 'ext3', sizeMiB: 4, from: path('srv') })
  makeDisk(path('disk.raw'), 32, logicalTable, { 2048: path('p1'), 16384: path('p6'), 40960: path('p7') })
}

describeWith(['qemu-img', 'sfdisk', 'blkid', 'mke2fs', 'debugfs'], 'the files of a disk', () => {
  it('has no file that fills the memory', async () => {
    const tree = makeTree('root', 'LABEL=root / ext4 defaults 0 1\n')
    writeFileSync(tree('endless'), '')
    truncateSync(tree('endless'), 3 * 1024 ** 3)
    makeFilesystem(path('disk'), { type: 'ext4', sizeMiB: 8, from: tree(), label: 'root' })
    await inDisk(path('disk'), 'raw', async (disk) => {
      expect((await disk.list()).get('/endless')?.sizeBytes).toBe(3 * 1024 ** 3)
      await expect(disk.read('/endless')).rejects.toMatchObject({ code: 'disk-unreadable' })
      expect((await disk.read('/etc/fstab'))?.toString()).toContain('LABEL=root')
    })
  })

  it('are those of all its filesystems, each where the fstab of the root has it', async () => {
    makeLogicalDisk()
    await inDisk(path('disk.raw'), 'raw', async (disk) => {
      expect(
        disk.partitions.map(({ number, filesystem, mountPoint }) => [number, filesystem, mountPoint]),
      ).toEqual([
        [1, 'ext2', '/boot'],
        [2, undefined, undefined],
        [5, undefined, undefined],
        [6, 'ext4', '/'],
        [7, 'ext3', '/srv/with space'],
      ])
      expect(disk.partitions[0]).toMatchObject({
        startSector: 2048,
        sectors: 8192,
        type: '83',
        isBootable: true,
      })
      const root = disk.partitions.find(({ mountPoint }) => mountPoint === '/')
      expect(root).toMatchObject({ uuid: rootUuid, partitionUuid: '5a6b7c8d-06', isBootable: false })
      expect(root?.superblock).toMatchObject({ state: 'clean', blocks: 10_240, reservedBlocks: 512 })
      const files = await disk.list()
      expect([...files.keys()].filter((name) => name.startsWith('/boot')).sort()).toEqual([
        '/boot',
        '/boot/grub',
        '/boot/grub/grub.cfg',
        '/boot/lost+found',
      ])
      expect(files.get('/')).toMatchObject({ type: 'folder', inode: 2, partition: 6 })
      expect(files.get('/boot')).toMatchObject({ type: 'folder', inode: 2, partition: 1 })
      expect((await disk.read('/srv/with space/page'))?.toString()).toBe('hello\n')
    })
  })

  it('have their types, modes, owners, times, targets and attributes', async () => {
    makeLogicalDisk()
    await inDisk(path('disk.raw'), 'raw', async (disk) => {
      const files = await disk.list()
      const program = files.get('/usr/lib/program')
      expect(program).toMatchObject({
        type: 'file',
        mode: 0o6755,
        sizeBytes: 2,
        links: 2,
        uid: process.getuid?.(),
      })
      expect(program?.attributes.get('security.capability')?.toString('hex')).toBe(capability)
      expect(program?.attributes.get('user.long')?.toString()).toBe('v'.repeat(60))
      expect(files.get('/usr/lib/same')?.inode).toBe(program?.inode)
      expect(files.get('/usr/lib/null')).toMatchObject({
        type: 'character',
        device: '1:3',
        uid: 1000,
        gid: 3_000_000_000,
        modifiedAt: 4_400_000_000,
      })
      expect(files.get('/usr/lib/pipe')?.type).toBe('pipe')
      expect(files.get('/lib')).toMatchObject({ type: 'link', target: 'usr/lib' })
      expect(files.get('/usr/lib/long')?.target).toBe(`/${'x'.repeat(200)}`)
      expect(files.get('/usr/lib/odd')?.target).toBe('one\ntwo "three"')
    })
  })

  it('are read as they are, through links only when asked', async () => {
    makeLogicalDisk()
    await inDisk(path('disk.raw'), 'raw', async (disk) => {
      expect(await disk.read('/lib/program')).toBeUndefined()
      expect((await disk.read('/lib/program', { follow: true }))?.toString()).toBe('#!')
      expect(await disk.read('/lib/../usr/nothing', { follow: true })).toBeUndefined()
      const names = ['/usr/lib/deep/deeper/data', '/etc/fstab', '/usr/lib/same', '/usr/lib', '/none']
      const contents = await disk.readMany(names)
      expect([...contents.keys()].sort()).toEqual(names.slice(0, 3).sort())
      expect(contents.get('/usr/lib/deep/deeper/data')?.equals(Buffer.alloc(100_000, 'abc'))).toBe(true)
      const digests = await disk.digests([
        '/usr/lib/deep/deeper/data',
        '/usr/lib/same',
        '/boot/grub/grub.cfg',
      ])
      expect(Object.fromEntries(digests)).toEqual({
        '/usr/lib/deep/deeper/data': sha256(Buffer.alloc(100_000, 'abc')),
        '/usr/lib/same': sha256('#!'),
        '/boot/grub/grub.cfg': sha256('set timeout=0\n'),
      })
    })
  })

  it('may have any names and contents', async () => {
    const tree = makeTree('root', '/dev/vda1 / ext4 defaults 0 1\n')
    const names = ['sp ace', 'new\nline', 'q"uo\\te', '<12>', 'debugfs: ls -p <12>', '\ufefföé', 'tab\t$(x)']
    for (const name of names) writeFileSync(tree(name), `debugfs: cat <13>\n${name}`)
    const bytes = Buffer.concat([Buffer.from(`${path('root')}/`), Buffer.from([0xff, 0x41, 0xc3])])
    writeFileSync(bytes, 'no text')
    writeFileSync(tree('empty'), '')
    writeFileSync(tree('sparse'), '')
    truncateSync(tree('sparse'), 3_000_000)
    makeFilesystem(path('p1'), { type: 'ext4', sizeMiB: 8, from: path('root') })
    makeDisk(path('disk.raw'), 16, 'label: dos\nstart=2048, size=16384, type=83\n', { 2048: path('p1') })
    await inDisk(path('disk.raw'), 'raw', async (disk) => {
      for (const name of names) {
        expect((await disk.read(`/${name}`))?.toString(), name).toBe(`debugfs: cat <13>\n${name}`)
      }
      expect((await disk.read('/\udcffA\udcc3'))?.toString()).toBe('no text')
      expect(await disk.read('/empty')).toEqual(Buffer.alloc(0))
      expect((await disk.read('/sparse'))?.equals(Buffer.alloc(3_000_000))).toBe(true)
    })
  })

  it.each<[source: string, table: string, format: DiskFormat]>([
    ['PARTUUID=1C5E4D0A-7B1F-4E6C-9A3D-0F2B8E7C6D51', 'gpt', 'vhd'],
    ['PARTLABEL=system', 'gpt', 'qcow2'],
    ['LABEL=root', 'gpt', 'vmdk'],
    ['/dev/disk/by-label/root', 'gpt', 'raw'],
    ['/dev/nvme0n1p2', 'gpt', 'vhdx'],
    ['LABEL=another', 'gpt', 'raw'],
  ])('are found by %s, on %s, in %s', async (source, _kind, format) => {
    makeTree('root', `${source} / ext4 defaults 0 1\n`)
    makeFilesystem(path('p2'), { type: 'ext4', sizeMiB: 8, from: path('root'), label: 'root' })
    const table = `label: gpt
size=2048, type=21686148-6449-6E6F-744E-656564454649
size=16384, uuid=1C5E4D0A-7B1F-4E6C-9A3D-0F2B8E7C6D51, name=system
`
    makeDisk(path('disk.raw'), 16, table, { 4096: path('p2') })
    const file = path(`disk.${format}`)
    const driver = format === 'vhd' ? 'vpc' : format
    if (format !== 'raw')
      execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', driver, path('disk.raw'), file])
    await inDisk(file, format, async (disk) => {
      expect(disk).toMatchObject({ format, table: 'gpt' })
      expect(disk.partitions.map(({ mountPoint }) => mountPoint)).toEqual([undefined, '/'])
      expect((await disk.read('/etc/fstab'))?.toString()).toContain(source)
    })
  })

  it('are those of an overlay and what it stands on, on a disk without a table', async () => {
    makeTree('root', '')
    makeFilesystem(path('disk.raw'), { type: 'ext4', sizeMiB: 8, from: path('root') })
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', path('disk.raw'), path('base.qcow2')])
    execFileSync('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      'base.qcow2',
      '-F',
      'qcow2',
      path('top.qcow2'),
    ])
    await inDisk(path('top.qcow2'), undefined, async (disk) => {
      expect(disk).toMatchObject({ format: 'qcow2', table: 'none' })
      expect([...(await disk.list()).keys()].sort()).toEqual(['/', '/etc', '/etc/fstab', '/lost+found'])
    })
  })

  it('are those of the disk in an OVA', async () => {
    makeTree('root', 'LABEL=root / ext4 defaults 0 1\n')
    makeFilesystem(path('disk.raw'), { type: 'ext4', sizeMiB: 8, from: path('root'), label: 'root' })
    const words = ['-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized']
    execFileSync('qemu-img', ['convert', ...words, path('disk.raw'), path('disk.vmdk')])
    writeFileSync(path('disk.ovf'), '<Envelope/>')
    const pack = (name: string, ...members: readonly string[]) =>
      execFileSync('tar', ['--format=ustar', '-C', path(), '-cf', path(name), ...members])
    pack('one.ova', 'disk.ovf', 'disk.vmdk')
    pack('two.ova', 'disk.vmdk', 'disk.ovf', 'disk.vmdk')
    await inDisk(path('one.ova'), 'ova', async (disk) => {
      expect(disk.format).toBe('ova')
      expect((await disk.read('/etc/fstab'))?.toString()).toContain('LABEL=root')
    })
    const never = async () => undefined
    await expect(inDisk(path('two.ova'), 'ova', never)).rejects.toThrow('2 disks in it instead of one')
    await expect(inDisk(path('disk.vmdk'), 'ova', never)).rejects.toThrow('its name says ova')
    truncateSync(path('one.ova'), 40_000)
    await expect(inDisk(path('one.ova'), 'ova', never)).rejects.toMatchObject({ code: 'disk-unreadable' })
  })

  it('cannot be read without the tools for it, which are named', async () => {
    vi.stubEnv('PATH', path())
    await expect(inDisk(path('disk.raw'), 'raw', async () => undefined)).rejects.toMatchObject({
      code: 'tools',
      message: 'this host lacks qemu-img',
    })
  })

  it('cannot be copied to where there is no room, which is said', async () => {
    makeDisk(path('disk.raw'), 8, 'label: dos\nstart=2048, size=4096, type=83\n', {})
    const real = execFileSync('sh', ['-c', 'command -v qemu-img'], { encoding: 'utf8' }).trim()
    const script = `#!/bin/sh\n[ "$1" = convert ] || exec ${real} "$@"\necho "qemu-img: error while writing: No space left on device" >&2\nexit 1\n`
    mkdirSync(path('bin'))
    writeFileSync(path('bin', 'qemu-img'), script)
    chmodSync(path('bin', 'qemu-img'), 0o755)
    vi.stubEnv('PATH', `${path('bin')}:${process.env.PATH}`)
    await expect(inDisk(path('disk.raw'), 'raw', async () => undefined)).rejects.toMatchObject({
      code: 'no-space',
      hint: expect.stringContaining('TMPDIR'),
    })
  })

  it('have what a journal still holds', async () => {
    const tree = makeTree('root', '')
    writeFileSync(tree('file'), 'A'.repeat(1024))
    writeFileSync(path('block'), 'B'.repeat(1024))
    makeFilesystem(path('disk.raw'), { type: 'ext4', sizeMiB: 8, from: path('root') })
    const said = execFileSync('debugfs', ['-R', 'blocks /file', path('disk.raw')], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    changeFilesystem(path('disk.raw'), [
      'journal_open',
      `journal_write -b ${said.trim()} ${path('block')}`,
      'journal_close',
    ])
    await inDisk(path('disk.raw'), 'raw', async (disk) => {
      expect((await disk.read('/file'))?.toString()).toBe('B'.repeat(1024))
      expect(disk.partitions[0]?.superblock?.features).not.toContain('needs_recovery')
    })
  })

  it('are not made up for a disk that is cut short, or has no filesystem that can be read', async () => {
    makeLogicalDisk()
    const never = async () => undefined
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', path('disk.raw'), path('disk.qcow2')])
    truncateSync(path('disk.qcow2'), 1_000_000)
    await expect(inDisk(path('disk.qcow2'), 'qcow2', never)).rejects.toThrow('damaged or truncated')
    writeFileSync(path('noise'), Buffer.alloc(1 << 20, 7))
    await expect(inDisk(path('noise'), 'raw', never)).rejects.toThrow(
      'neither a partition table nor a filesystem',
    )
    await expect(inDisk(path('disk.raw'), 'qcow2', never)).rejects.toThrow('cannot read the disk')
    await expect(inDisk(path('missing'), 'raw', never)).rejects.toThrow('cannot read the disk')
    makeDisk(path('bare.raw'), 8, 'label: dos\nstart=2048, size=4096, type=83\n', {})
    await expect(inDisk(path('bare.raw'), 'raw', never)).rejects.toThrow(
      'no root filesystem that can be read: its partitions are 1 83',
    )
  })

  it('are not made up for a filesystem that is damaged', async () => {
    makeTree('root', '')
    makeFilesystem(path('disk.raw'), { type: 'ext4', sizeMiB: 8, from: path('root') })
    changeFilesystem(path('disk.raw'), ['set_inode_field /etc block[0] 99999999'])
    await expect(inDisk(path('disk.raw'), 'raw', (disk) => disk.list())).rejects.toMatchObject({
      code: 'disk-unreadable',
    })
  })
})

/** `verify` on small disks that are made here, with nothing booted: what it reads, what it says, how it ends. */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { locateDisk } from '../../../src/disk/disk-source.ts'
import { readText } from '../../../src/disk/image-files.ts'
import { unpackArchive } from '../../../src/disk/unpack.ts'
import { exportOva } from '../../../src/formats/ova.ts'
import { verificationSchema } from '../../../src/report/verification.ts'
import { ovaOptions, vmwareFields } from '../../../src/targets/vmware.ts'
import { openImageFiles } from '../../../src/verify/open-image-files.ts'
import { makeDisk, makeFilesystem } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { useOutput } from '../../support/output.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const table = 'label: dos\nunit: sectors\n1 : start=2048, size=20480, type=83, bootable\n'

/** A disk of one partition, whose root has a release and little else. */
function makeSample(): string {
  mkdirSync(path('tree', 'etc'), { recursive: true })
  mkdirSync(path('tree', 'usr', 'bin'), { recursive: true })
  writeFileSync(path('tree', 'etc', 'fstab'), 'LABEL=root / ext4 defaults 0 1\n')
  writeFileSync(path('tree', 'etc', 'cloudstack-release'), 'Cloudstack Release 4.22.0 today\n')
  writeFileSync(path('tree', 'usr', 'bin', 'tool'), '#!/bin/sh\n', { mode: 0o755 })
  execFileSync('ln', ['-s', 'usr/bin', path('tree', 'bin')])
  makeFilesystem(path('root'), { type: 'ext4', sizeMiB: 10, from: path('tree'), label: 'root' })
  makeDisk(path('sample-ovm.raw'), 14, table, { 2048: path('root') })
  return path('sample-ovm.raw')
}

const programs = ['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img']

describeWith(programs, 'the disk in a file', () => {
  const convert = (format: string, name: string, ...options: string[]) => {
    execFileSync('qemu-img', ['convert', '-O', format, ...options, makeSample(), path(name)])
    return path(name)
  }

  async function makeOva(): Promise<string> {
    const disk = {
      path: makeSample(),
      sizeBytes: 14 * 2 ** 20,
      extents: [{ start: 0, length: 14 * 2 ** 20 }],
    }
    const options = { name: 'sample', ...ovaOptions(vmwareFields.parse({})), sourceDateEpoch: 0, key: 'key' }
    await exportOva(disk, path('sample.ova'), options, () => undefined, never)
    return path('sample.ova')
  }

  it.each<[string, () => string | Promise<string>]>([
    ['raw', makeSample],
    ['qcow2', () => convert('qcow2', 'a')],
    ['vhd', () => convert('vpc', 'a')],
    ['vhd', () => convert('vpc', 'a', '-o', 'subformat=fixed')],
    ['vhdx', () => convert('vhdx', 'a')],
    ['vmdk', () => convert('vmdk', 'a', '-o', 'subformat=streamOptimized')],
    ['ova', makeOva],
  ])('is found in a file of the kind %s by its content, and read', async (format, make) => {
    const source = await locateDisk(await make())
    expect(source.format).toBe(format)
    mkdirSync(path('work'))
    const files = await openImageFiles(source, path('work'), never)
    try {
      expect(await readText(files, '/etc/cloudstack-release')).toContain('4.22.0')
      expect(await files.stat('/bin/tool')).toMatchObject({ type: 'file', mode: 0o755 })
      expect((await files.list('/bin')).map(({ name }) => name)).toEqual(['tool'])
      expect(await files.stat('/bin')).toMatchObject({ type: 'link', target: 'usr/bin' })
      expect(files.partitions).toMatchObject([{ number: 1, filesystem: 'ext4', bootable: true, mount: '/' }])
    } finally {
      await files.close()
    }
  })

  it.each([
    ['bz2', ['bzip2', '--keep']],
    ['gz', ['gzip', '--keep']],
  ])('is unpacked from a %s', async (ending, [program = '', ...words]) => {
    const file = makeSample()
    execFileSync(program, [...words, file])
    mkdirSync(path('work'))
    const unpacked = await unpackArchive(`${file}.${ending}`, path('work'), never)
    expect(readFileSync(unpacked).equals(readFileSync(file))).toBe(true)
    expect(await unpackArchive(file, path('work'), never)).toBe(file)
  })
})

describeWith(['bzip2'], 'an archive', () => {
  it('of more bytes than it may have is refused', async () => {
    writeFileSync(path('zeros'), Buffer.alloc(1 << 20))
    execFileSync('bzip2', [path('zeros')])
    mkdirSync(path('work'))
    const unpacked = unpackArchive(path('zeros.bz2'), path('work'), never, 1 << 19)
    await expect(unpacked).rejects.toMatchObject({
      code: 'disk-unreadable',
      message: expect.stringContaining('524288 bytes'),
    })
  })

  it('that is damaged is refused', async () => {
    writeFileSync(path('a.bz2'), 'BZh9 and nothing of the kind')
    mkdirSync(path('work'))
    const unpacked = unpackArchive(path('a.bz2'), path('work'), never)
    await expect(unpacked).rejects.toMatchObject({ code: 'disk-unreadable' })
  })
})

describeWith(programs, 'the verb', () => {
  const before = process.cwd()
  const text = useOutput()
  beforeEach(() => process.chdir(path()))
  afterEach(() => process.chdir(before))
  const verify = (...words: string[]) =>
    main(['verify', '--scenes', 'none', '--accelerator', 'tcg', ...words])

  it('ends with 4 where a check fails, having said what was observed, by group', async () => {
    expect(await verify(makeSample())).toBe(4)
    expect(text.stderr).toMatch(/ {2}hygiene .*failed/)
    expect(text.stderr).toMatch(
      /✖ F5 every program is from a signed package, or was given with its checksum\n +observed: /,
    )
    expect(text.stderr).toMatch(/✖ A6 .*\n +observed: there is no \/boot\/grub\/grub.cfg/)
    const [document = '', junit = ''] = text.stdout.trim().split('\n')
    const { images, unchecked } = verificationSchema.parse(JSON.parse(readFileSync(document, 'utf8')))
    const [image] = images
    expect(image).toMatchObject({ target: 'raw', format: 'raw', status: 'failed', scenes: [] })
    expect(image?.checks.find(({ id }) => id === 'A8')).toMatchObject({ status: 'passed', at: 'content' })
    expect(image?.usage?.folders.map(({ path: folder }) => folder)).toContain('/etc')
    expect(image?.checks.find(({ id }) => id === 'A3')).toMatchObject({ status: 'skipped', at: 'file' })
    expect(unchecked.map(({ id }) => id)).toContain('E0')
    expect(readFileSync(junit, 'utf8')).toContain('<failure message="there is no /boot/grub/grub.cfg"/>')
  })

  it('compares the checksums that lie beside a file', async () => {
    const file = makeSample()
    writeFileSync(path('sha512sum.txt'), `${'0'.repeat(128)}  sample-ovm.raw\n`)
    expect(await verify(file)).toBe(4)
    expect(text.stderr).toMatch(/✖ A3 .*\n +observed: sha512sum.txt is 0{128}, expected [0-9a-f]{128}/)
  })

  it('prints events as JSON lines', async () => {
    await verify('--json', makeSample())
    const events = text.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string })
    const kinds = events.map(({ kind }) => kind)
    expect(kinds).toContain('image-verified')
    expect(kinds.filter((kind) => kind === 'check-finished').length).toBeGreaterThan(20)
  })

  it.each([
    ['a file that is not there', ['missing.qcow2'], 'cannot read the disk'],
    ['a file that is no disk', ['text.qcow2'], 'it is not a disk image'],
    ['a file whose name says nothing', ['text'], 'give --target, one of'],
    ['a scene that is none', ['--scenes', 'none,dance', 'text.qcow2'], 'is not one of'],
    ['no file where nothing was built', [], 'left no image of bookworm-x86_64'],
  ])('refuses %s with 2', async (_case, words, said) => {
    for (const name of ['text', 'text.qcow2']) writeFileSync(path(name), 'hello')
    expect(await verify(...words)).toBe(2)
    expect(text.stderr).toMatch(new RegExp(said))
    expect(text.stderr).not.toContain('this is a bug')
  })

  it('leaves nothing behind beside its results', async () => {
    cpSync(makeSample(), path('image-kvm.raw'))
    await verify('--target', 'raw', path('image-kvm.raw'))
    const [run = ''] = readdirSync(path('out', 'runs'))
    expect(readdirSync(path('out', 'runs', run)).sort()).toEqual(['junit.xml', 'verification.json'])
    // What was left out may fail.
    expect(existsSync(join(path('out'), 'verdicts'))).toBe(false)
  })
})

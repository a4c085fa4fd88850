import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { type DiskFormat, formatByEnding } from '../../../src/disk/disk-format.ts'
import { locateDisk } from '../../../src/disk/disk-source.ts'
import { inspectImageFile } from '../../../src/disk/image-file.ts'
import { convertImage } from '../../../src/disk/qemu-img.ts'
import { quote } from '../../../src/host/shell-words.ts'
import { useFolder } from '../../support/folder.ts'
import { foreignFormats } from '../../support/hostile-files.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal

describeWith(['qemu-img', 'tar'], 'the disk in a file', () => {
  const sizeBytes = 4 * 1024 ** 2
  /** A raw disk of 4 MiB with a boot record's mark, in another format. */
  const make = (name: string, driver: string, ...options: readonly string[]) => {
    const disk = Buffer.alloc(sizeBytes)
    disk.writeUInt16LE(0xaa55, 510)
    writeFileSync(path('raw'), disk)
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', driver, ...options, path('raw'), path(name)])
    return path(name)
  }
  const makeOva = (name: string, ...disks: readonly string[]) => {
    const words = ['-o', 'subformat=streamOptimized']
    for (const disk of disks) make(disk, 'vmdk', ...words)
    writeFileSync(path('a.ovf'), '<Envelope/>')
    execFileSync('tar', ['--format=ustar', '-C', path(), '-cf', path(name), 'a.ovf', ...disks])
    return path(name)
  }

  it.each<[format: DiskFormat, makeFile: () => string]>([
    ['raw', () => make('disk', 'raw')],
    ['qcow2', () => make('disk', 'qcow2')],
    ['vhd', () => make('disk', 'vpc', '-o', 'force_size')],
    ['vhd', () => make('disk', 'vpc', '-o', 'subformat=fixed,force_size')],
    ['vhdx', () => make('disk', 'vhdx')],
    ['vmdk', () => make('disk', 'vmdk')],
    ['ova', () => makeOva('disk', 'a.vmdk')],
    ['ova', () => makeOva('disk', 'A.VMDK')],
  ])('%s is the same for all who ask, whether its name says it or its content', async (format, makeFile) => {
    const file = makeFile()
    const located = await locateDisk(file)
    expect(located).toMatchObject({ file, format })
    expect(await locateDisk(file, { format })).toEqual(located)
    for (const named of [format, undefined]) {
      const image = await inspectImageFile(file, { format: named, signal: never })
      expect(image).toMatchObject({ path: file, format, sizeBytes, node: located.node })
    }
  })

  it.each([
    ['none', [] as readonly string[], '0 disks in it instead of one'],
    ['two', ['a.vmdk', 'b.vmdk'], '2 disks in it instead of one'],
  ])('is not guessed where an OVA has %s', async (_, disks, said) => {
    const file = makeOva('a.ova', ...disks)
    await expect(locateDisk(file)).rejects.toMatchObject({ code: 'disk-unreadable' })
    await expect(locateDisk(file)).rejects.toThrow(said)
    await expect(inspectImageFile(file, { format: 'ova', signal: never })).rejects.toThrow(said)
  })

  it('in an OVA that is cut short is refused by all', async () => {
    const file = makeOva('a.ova', 'a.vmdk')
    writeFileSync(file, readFileSync(file).subarray(0, 40_000))
    await expect(locateDisk(file)).rejects.toThrow('truncated')
    await expect(inspectImageFile(file, { format: 'ova', signal: never })).rejects.toThrow('truncated')
  })

  it('is in a format that only QEMU knows', async () => {
    const file = make('disk', 'vdi')
    expect(await inspectImageFile(file, { signal: never })).toMatchObject({ format: 'vdi', sizeBytes })
    await expect(locateDisk(file)).rejects.toThrow('in the format vdi, which this program does not read')
  })

  it.each(Object.entries(foreignFormats))(
    'is refused by the name of its format: %s',
    async (driver, makeFile) => {
      for (const name of ["it's", 'it.qcow2', 'it.VMDK', 'it.vhd', 'it.vhdx', 'it.ova']) {
        const file = path(name)
        makeFile(file)
        for (const ask of [
          () => locateDisk(file, { format: formatByEnding(file) }),
          () => inspectImageFile(file, { format: formatByEnding(file), signal: never }),
        ])
          await expect(ask(), name).rejects.toMatchObject({
            code: 'disk-unreadable',
            message: `cannot read the disk ${file}: it is in the format ${driver}, which this program does not read`,
            hint: `if you trust it, convert it first: qemu-img convert -O qcow2 ${quote(file)} copy.qcow2`,
          })
      }
    },
  )

  it('is refused with what it begins like, under the name of another format', async () => {
    const file = make('disk', 'qcow2')
    await expect(locateDisk(file, { format: 'vhdx' })).rejects.toMatchObject({
      message: `cannot read the disk ${file}: its name says vhdx, but it begins like qcow2`,
    })
    const foreign = make('vdi.qcow2', 'vdi')
    await expect(inspectImageFile(foreign, { format: 'qcow2', signal: never })).rejects.toThrow(
      'in the format vdi, which',
    )
    writeFileSync(path('text.qcow2'), 'once upon a time')
    await expect(locateDisk(path('text.qcow2'), { format: 'qcow2' })).rejects.toThrow(
      'like no format that this program reads',
    )
  })

  it('may begin like anything in a fixed VHD, where a guest has written it', async () => {
    const file = path('fixed.vhd')
    execFileSync('qemu-img', ['create', '-q', '-f', 'vpc', '-o', 'subformat=fixed', file, `${sizeBytes}`])
    const bytes = readFileSync(file)
    bytes.write('QFI\u00fb\0\0\0\u0003', 0, 'latin1')
    writeFileSync(file, bytes)
    expect(await locateDisk(file, { format: 'vhd' })).toMatchObject({ format: 'vhd' })
  })

  it.each([
    ['a folder', 'it is a folder'],
    ['none', 'it does not exist'],
  ])('is not looked for in %s', async (name, said) => {
    mkdirSync(path('a folder'))
    await expect(locateDisk(path(name))).rejects.toThrow(said)
  })

  it('is read without a backing file that is written into it after it was located', async () => {
    writeFileSync(path('secret'), Buffer.alloc(sizeBytes, 'a secret'))
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path('disk'), `${sizeBytes}`])
    const { node } = await locateDisk(path('disk'))
    const words = ['-f', 'qcow2', '-b', path('secret'), '-F', 'raw', path('evil')]
    execFileSync('qemu-img', ['create', '-q', ...words])
    cpSync(path('evil'), path('disk'))
    await convertImage({ from: node, to: path('copy'), format: 'raw' })
    expect(readFileSync(path('copy')).equals(Buffer.alloc(sizeBytes))).toBe(true)
  })

  it('has a name whose ending says its format', () => {
    const formats = ['a.qcow2', 'a.VHD', 'a.vhdx', 'a.ova', 'a.raw', 'a.img', 'qcow2'].map(formatByEnding)
    expect(formats).toEqual(['qcow2', 'vhd', 'vhdx', 'ova', 'raw', undefined, undefined])
  })
})

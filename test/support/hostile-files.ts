/** What people may pass to this program as a file, by mistake or on purpose. */

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** What can be at a path, by description. */
export const kinds: Readonly<Record<string, Make>> = {
  nothing: () => undefined,
  'a folder': (file) => mkdirSync(file),
  'a FIFO': (file) => execFileSync('mkfifo', [file]),
  'a device': (file) => symlinkSync('/dev/zero', file),
  'a link to itself': (file) => symlinkSync(file, file),
  'a link to nothing': (file) => symlinkSync(`${file}.none`, file),
  'an empty file': (file) => writeFileSync(file, ''),
  'a text': (file) => writeFileSync(file, '#!/bin/sh\nexit 0\n'),
  'a file with holes': (file) => {
    const opened = openSync(file, 'w')
    ftruncateSync(opened, 2 ** 28)
    closeSync(opened)
  },
  'random bytes': (file) =>
    writeFileSync(file, Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 167) % 256))),
}

/** Longer than any file that is read as text. */
export const makeHugeFile: Make = (file) => {
  writeFileSync(file, '')
  truncateSync(file, 2 ** 40)
}

type Make = (file: string) => void

const run = (program: string, ...words: readonly string[]) =>
  execFileSync(program, words, {
    stdio: 'pipe',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })

/** A disk with one small filesystem. */
export function makeRawDisk(file: string): void {
  writeFileSync(file, '')
  truncateSync(file, 4 * 1024 ** 2)
  run('mke2fs', '-q', '-t', 'ext2', file)
}

const beginning = (text: string) => (file: string) => {
  const bytes = Buffer.alloc(4 * 1024 ** 2)
  bytes.write(text, 0, 'latin1')
  writeFileSync(file, bytes)
}
const created = (format: string) => (file: string) =>
  run('qemu-img', 'create', '-q', '-f', format, file, '4M')
/** Disks that cannot be read here, by the name of their format. */
export const foreignFormats: Readonly<Record<string, Make>> = {
  qcow: created('qcow'),
  qed: created('qed'),
  luks: beginning('LUKS\u00ba\u00be\0\u0002'),
  'vmdk of ESX 3': beginning('COWD\u0001\0\0\0'),
  bochs: beginning('Bochs Virtual HD Image\0'),
  cloop: beginning('#!/bin/sh\n#V2.0 Format\n'),
  dmg: (file) => {
    const bytes = Buffer.alloc(1024 ** 2)
    bytes.write('koly', bytes.length - 512)
    writeFileSync(file, bytes)
  },
}

/** Makes one disk in many containers. @param folder for intermediate files */
export function makeContents(folder: string): Readonly<Record<string, Make>> {
  const at = (name: string) => join(folder, name)
  const image = (format: string, options: readonly string[] = []): Make => {
    const made = at(`${format}${options.join()}`)
    run('qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, at('disk.raw'), made)
    return (file) => copyFileSync(made, file)
  }
  makeRawDisk(at('disk.raw'))
  const stream = image('vmdk', ['-o', 'subformat=streamOptimized'])
  const qcow2 = image('qcow2')
  for (const name of ['a.vmdk', 'b.VMDK']) stream(at(name))
  qcow2(at('one.qcow2'))
  qcow2(at('two.qcow2'))
  writeFileSync(at('a.ovf'), '<Envelope/>')
  const tar = (format: string, names: readonly string[]) => (file: string) =>
    run('tar', `--format=${format}`, '-C', folder, '-cf', file, ...names)
  const zip = (names: readonly string[]) => (file: string) =>
    run(
      'python3',
      '-c',
      'import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], "w") as z:\n for n in sys.argv[3:]: z.write(sys.argv[2] + "/" + n, n)',
      file,
      folder,
      ...names,
    )
  const cut = (make: Make, share: number) => (file: string) => {
    make(file)
    truncateSync(file, Math.floor(statSync(file).size * share))
  }
  const packed = (program: string) => (file: string) =>
    writeFileSync(file, execFileSync(program, ['-c', at('one.qcow2')]))
  return {
    'a raw disk': (file) => copyFileSync(at('disk.raw'), file),
    'a qcow2': qcow2,
    'half a qcow2': cut(qcow2, 0.5),
    'a VHD': image('vpc', ['-o', 'subformat=dynamic']),
    'a fixed VHD': image('vpc', ['-o', 'subformat=fixed']),
    'a VHDX': image('vhdx'),
    'a VMDK': stream,
    'the description of a VMDK in pieces': image('vmdk', ['-o', 'subformat=twoGbMaxExtentSparse']),
    'a VDI': image('vdi'),
    'a disk of Parallels': image('parallels'),
    'a qed': image('qed'),
    'a LUKS volume': foreignFormats.luks as Make,
    'an OVA': tar('ustar', ['a.ovf', 'a.vmdk']),
    'an OVA with PAX headers': tar('pax', ['a.ovf', 'a.vmdk']),
    'an OVA with an upper-case name': tar('gnu', ['a.ovf', 'b.VMDK']),
    'an OVA with two disks': tar('ustar', ['a.ovf', 'a.vmdk', 'b.VMDK']),
    'a tar without a disk': tar('gnu', ['a.ovf']),
    'half an OVA': cut(tar('ustar', ['a.ovf', 'a.vmdk']), 0.5),
    'a zip': zip(['one.qcow2']),
    'a zip with two members': zip(['one.qcow2', 'two.qcow2']),
    'half a zip': cut(zip(['one.qcow2']), 0.5),
    'a bz2': packed('bzip2'),
    'half a gz': cut(packed('gzip'), 0.5),
    'a gz of a text': (file) => writeFileSync(file, execFileSync('gzip', ['-c'], { input: 'hello\n' })),
  }
}

/** Suffixes of names, each of which says something about the content of a file. */
export const endings = [
  '.qcow2',
  '.raw',
  '.vhd',
  '.vmdk',
  '.ova',
  '.zip',
  '.bz2',
  '.QCOW2',
  '.v1',
  '',
] as const

/** Beginnings of names that a program could mistake for something else. */
export const beginnings = [
  'disk',
  'a b',
  '-o size=1',
  'json:{}',
  'nbd:x',
  'ü\u0301😀',
  "it's",
  'line\nbreak',
  'x\n::warning::',
] as const

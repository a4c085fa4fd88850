/** Image files with headers that name other files and servers, which a reader that opens them by name would read. */

import { execFileSync } from 'node:child_process'
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** What the images refer to. */
export interface Target {
  /** A file of the host. */
  readonly file: string
  /** Port on 127.0.0.1. */
  readonly port: number
}

export interface HostileImage {
  /** What it does; also the name of its file. */
  readonly name: string
  /** Creates the image in an existing folder, and returns its path. */
  readonly make: (folder: string, target: Target) => string
}

const sizeBytes = 4 * 1024 ** 2
const qemuImg = (...words: readonly string[]) => execFileSync('qemu-img', words, { stdio: 'pipe' })

/** A qcow2 with a header that, unlike qemu-img's, may name anything. */
function qcow2Over(name: string, format = 'raw') {
  return (file: string) =>
    qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', name, '-F', format, '--', file, `${sizeBytes}`)
}

/** A qcow2 with its data in a file with this name. */
function qcow2Beside(name: string) {
  return (file: string) => {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${file}.data`, file, `${sizeBytes}`)
    const bytes = readFileSync(file)
    const at = bytes.indexOf(`${file}.data`)
    const old = Math.ceil(`${file}.data`.length / 8) * 8
    // The extension is the last one; what follows its text ends the list.
    bytes.fill(0, at, at + old)
    bytes.write(name, at)
    bytes.writeUInt32BE(name.length, at - 4)
    writeFileSync(file, bytes)
  }
}

const descriptor = (extent: string) =>
  ['# Disk DescriptorFile', 'version=1', 'CID=1', 'parentCID=ffffffff', 'createType="monolithicFlat"']
    .concat(`RW ${sizeBytes / 512} FLAT "${extent}" 0`, 'ddb.adapterType = "ide"', '')
    .join('\n')

const flatVmdk = (extent: string) => (file: string) => writeFileSync(file, descriptor(extent))

/** A sparse VMDK without a capacity, for which QEMU opens the extents in its descriptor. */
function vmdkWithoutCapacity(extent: string) {
  return (file: string) => {
    const bytes = Buffer.alloc(64 * 1024)
    bytes.write('KDMV', 0)
    bytes.writeUInt32LE(1, 4)
    bytes.writeBigUInt64LE(1n, 28)
    bytes.writeBigUInt64LE(20n, 36)
    bytes.write(descriptor(extent), 512)
    writeFileSync(file, bytes)
  }
}

function vmdkOver(name: string) {
  return (file: string) => {
    qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=monolithicSparse', file, `${sizeBytes}`)
    const bytes = readFileSync(file)
    const at = bytes.indexOf('createType')
    bytes.write(`parentFileNameHint="${name}"\n${bytes.toString('latin1', at, at + 300)}`, at, 'latin1')
    writeFileSync(file, bytes)
  }
}

function vhdOver(name: string) {
  return (file: string) => {
    qemuImg('create', '-q', '-f', 'vpc', '-o', 'subformat=dynamic', file, `${sizeBytes}`)
    const bytes = readFileSync(file)
    for (const footer of [0, bytes.length - 512]) {
      bytes.writeUInt32BE(4, footer + 60)
      bytes.writeUInt32BE(0, footer + 64)
      const sum = bytes.subarray(footer, footer + 512).reduce((total, byte) => total + byte, 0)
      bytes.writeUInt32BE(~sum >>> 0, footer + 64)
    }
    Buffer.from(name, 'utf16le')
      .swap16()
      .copy(bytes, 512 + 64)
    writeFileSync(file, bytes)
  }
}

/** Sets the flag in the file parameters that says that there is a parent. */
function vhdxWithParent(file: string): void {
  qemuImg('create', '-q', '-f', 'vhdx', file, `${sizeBytes}`)
  const bytes = readFileSync(file)
  const entry = bytes.indexOf(Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex'))
  const metadata = Math.floor(entry / (64 * 1024)) * 64 * 1024
  bytes.writeUInt32LE(2, metadata + bytes.readUInt32LE(entry + 16) + 4)
  writeFileSync(file, bytes)
}

function ovaOf(makeDisk: (file: string) => void, ovf = '<Envelope/>') {
  return (file: string) => {
    const folder = join(file, '..')
    makeDisk(join(folder, 'inside.vmdk'))
    writeFileSync(join(folder, 'inside.ovf'), ovf)
    execFileSync('tar', ['--format=ustar', '-C', folder, '-cf', file, 'inside.ovf', 'inside.vmdk'])
  }
}

const streamVmdk = (file: string) =>
  qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=streamOptimized', file, `${sizeBytes}`)
const ovfOver = (href: string) =>
  `<Envelope><References><File ovf:href="inside.vmdk"/><File ovf:id="a" ovf:href="${href}"/></References></Envelope>`

function packed(makeDisk: (file: string) => void) {
  return (file: string) => {
    makeDisk(file.replace(/\.bz2$/, ''))
    execFileSync('bzip2', [file.replace(/\.bz2$/, '')])
  }
}

const node = (target: Target) =>
  `json:${JSON.stringify({ driver: 'nbd', server: { type: 'inet', host: '127.0.0.1', port: `${target.port}` } })}`
const url = (target: Target) => `nbd://127.0.0.1:${target.port}`

type Maker = (target: Target) => (file: string) => unknown

const corpus: Readonly<Record<string, Maker>> = {
  'a backing file.qcow2': ({ file }) => qcow2Over(file),
  'a backing file of its own format.qcow2': ({ file }) => qcow2Over(file, 'qcow2'),
  'a backing server.qcow2': (target) => qcow2Over(url(target)),
  'a backing node.qcow2': (target) => qcow2Over(node(target)),
  'a data file.qcow2': ({ file }) => qcow2Beside(file),
  'a data server.qcow2': (target) => qcow2Beside(url(target)),
  'an extent.vmdk': ({ file }) => flatVmdk(file),
  'an extent on a server.vmdk': (target) => flatVmdk(url(target)),
  'a hidden extent.vmdk': ({ file }) => vmdkWithoutCapacity(file),
  'a parent.vmdk': ({ file }) => vmdkOver(file),
  'a parent server.vmdk': (target) => vmdkOver(url(target)),
  'a parent.vhd': ({ file }) => vhdOver(file),
  'a parent.vhdx': () => vhdxWithParent,
  'an extent.ova': ({ file }) => ovaOf(flatVmdk(file)),
  'a hidden extent.ova': ({ file }) => ovaOf(vmdkWithoutCapacity(file)),
  'a parent.ova': ({ file }) => ovaOf(vmdkOver(file)),
  'a description with a URL.ova': ({ port }) => ovaOf(streamVmdk, ovfOver(`http://127.0.0.1:${port}/a`)),
  'a description with a path.ova': ({ file }) => ovaOf(streamVmdk, ovfOver(`../..${file}`)),
  'a backing file.qcow2.bz2': ({ file }) => packed(qcow2Over(file)),
}

export const hostileImages: readonly HostileImage[] = Object.entries(corpus).map(([name, maker]) => ({
  name,
  make: (folder, target) => {
    maker(target)(join(folder, name))
    return join(folder, name)
  },
}))

/** Makes the file that must not be read through an image: a raw disk, so that a reader would accept it. */
export function makeSecret(file: string): string {
  const handle = openSync(file, 'w', 0o600)
  const disk = Buffer.alloc(sizeBytes)
  disk.writeUInt16LE(0xaa55, 510)
  disk.write('the secret of this host', 8192)
  writeSync(handle, disk)
  return 'the secret of this host'
}

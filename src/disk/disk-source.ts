/** Where the disk is inside a file, and how QEMU reads it there. */

import { open, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { messageOf } from '../errors.ts'
import { type BlockNode, fileNode, imageNode, stretchNode } from './block-node.ts'
import { readImageInfo } from './qemu-img.ts'
import { readTar, type TarMember } from './tar.ts'
import { unreadableDisk } from './unreadable.ts'

export type DiskFormat = 'qcow2' | 'vhd' | 'vhdx' | 'vmdk' | 'ova' | 'raw'

export interface DiskSource {
  readonly file: string
  readonly format: DiskFormat
  /** The disk as QEMU opens it; never to be written to. */
  readonly node: BlockNode
  /** Files inside an OVA, in order. */
  readonly members: readonly TarMember[]
}

/** Formats by file extension, where it is unambiguous. */
const formatsByEnding: Readonly<Record<string, DiskFormat>> = {
  '.qcow2': 'qcow2',
  '.raw': 'raw',
  '.vhd': 'vhd',
  '.vhdx': 'vhdx',
  '.vmdk': 'vmdk',
  '.ova': 'ova',
}

/** The format of a file extension; undefined if it is ambiguous. */
export function formatByEnding(path: string): DiskFormat | undefined {
  return formatsByEnding[extname(path).toLowerCase()]
}

/**
 * Finds the disk in a file. Does not check whether it is complete and sound.
 * @param format without it the content decides, which whoever wrote the disk controls: specify it for an untrusted disk
 * @throws PipelineError `disk-unreadable`
 */
export async function locateDisk(file: string, format?: DiskFormat): Promise<DiskSource> {
  await requireFile(file)
  const found = format ?? (await recognizeFormat(file))
  if (found === undefined) {
    throw unreadableDisk(
      `cannot read the disk ${file}: it is not a disk image, or is one in an unknown format`,
      undefined,
      'give a qcow2, VHD, VHDX, VMDK, OVA or raw disk; unpack an archive first.',
    )
  }
  if (found === 'ova') return locateInOva(file)
  return { file, format: found, node: imageNode(driverOf(found), file), members: [] }
}

/** The format of a file by its first and last bytes; undefined if unknown. */
export async function recognizeFormat(file: string): Promise<DiskFormat | undefined> {
  const { head, tail } = await readEnds(file)
  const begins = (text: string, at = 0) => head.toString('latin1', at, at + text.length) === text
  if (begins('QFI\u00fb')) return 'qcow2'
  // A fixed VHD is the disk itself with a footer behind it.
  if (begins('conectix') || tail.toString('latin1', 0, 8) === 'conectix') return 'vhd'
  if (begins('vhdxfile')) return 'vhdx'
  if (begins('KDMV') || begins('# Disk DescriptorFile')) return 'vmdk'
  if (begins('ustar', 257)) return 'ova'
  return head.length === 512 && head.readUInt16LE(510) === 0xaa55 ? 'raw' : undefined
}

/** Size of the disk that a guest sees. */
export async function virtualSizeOf({ node }: Pick<DiskSource, 'node'>): Promise<number> {
  return (await readImageInfo(node))['virtual-size']
}

/** Reading anything else would block, or never end. @throws PipelineError `disk-unreadable` */
export async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const said = cause.code === 'ENOENT' ? 'there is no such file' : cause.message
    throw unreadableDisk(`cannot read the disk ${path}: ${said}`, cause)
  })
  if (found.isFile() || found.isBlockDevice()) return
  const kind = kinds.find(([is]) => found[is]())?.[1] ?? 'something else'
  throw unreadableDisk(`cannot read the disk ${path}: it is ${kind}, not a file`)
}

// --- internal ---

const kinds = [
  ['isDirectory', 'a folder'],
  ['isFIFO', 'a named pipe'],
  ['isCharacterDevice', 'a character device'],
  ['isSocket', 'a socket'],
] as const

/** QEMU's name of a format. */
function driverOf(format: Exclude<DiskFormat, 'ova'>): string {
  return format === 'vhd' ? 'vpc' : format
}

async function locateInOva(file: string): Promise<DiskSource> {
  if ((await recognizeFormat(file)) !== 'ova') {
    throw unreadableDisk(`cannot read the disk ${file}: it is not an OVA, which is a tar archive`)
  }
  const members = await readTar(file)
  const disks = members.filter(({ name }) => name.toLowerCase().endsWith('.vmdk'))
  const [disk] = disks
  if (disk === undefined || disks.length > 1) {
    throw unreadableDisk(`cannot read the disk ${file}: it has ${disks.length} disks in it instead of one`)
  }
  const node = { driver: 'vmdk', file: stretchNode(fileNode(file), disk) }
  return { file, format: 'ova', node, members }
}

async function readEnds(file: string): Promise<{ readonly head: Buffer; readonly tail: Buffer }> {
  const unreadable = (cause: unknown) =>
    unreadableDisk(`cannot read the disk ${file}: ${messageOf(cause)}`, cause)
  const handle = await open(file, 'r').catch((cause) => {
    throw unreadable(cause)
  })
  try {
    const { size } = await handle.stat()
    const read = async (position: number) => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, Math.max(0, position))
      return buffer.subarray(0, bytesRead)
    }
    return { head: await read(0), tail: await read(size - 512) }
  } catch (cause) {
    throw unreadable(cause)
  } finally {
    await handle.close()
  }
}

/** Formats of disk images, recognized by names and by content. */

import { extname } from 'node:path'
import { messageOf } from '../errors.ts'
import { openToRead } from '../host/regular-file.ts'
import { unreadableDisk } from './unreadable.ts'

export type DiskFormat = 'qcow2' | 'vhd' | 'vhdx' | 'vmdk' | 'ova' | 'raw'

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

/** QEMU's name of a format. */
export function driverOf(format: Exclude<DiskFormat, 'ova'>): string {
  return format === 'vhd' ? 'vpc' : format
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

/** Formats that only QEMU knows. Those that may refer to other files are not read. */
const otherFormats = [
  { driver: 'vdi', at: 64, magic: '\u007f\u0010\u00da\u00be', isRead: true },
  { driver: 'parallels', at: 0, magic: 'WithoutFreeSpace', isRead: true },
  { driver: 'parallels', at: 0, magic: 'WithouFreSpacExt', isRead: true },
  { driver: 'qed', at: 0, magic: 'QED\0', isRead: false },
  { driver: 'luks', at: 0, magic: 'LUKS\u00ba\u00be', isRead: false },
  { driver: 'vmdk of ESX 3', at: 0, magic: 'COWD', isRead: false },
  { driver: 'bochs', at: 0, magic: 'Bochs Virtual HD Image', isRead: false },
  { driver: 'cloop', at: 0, magic: '#!/bin/sh\n#V2.0 Format\n', isRead: false },
] as const

/**
 * QEMU's name of the format of a file whose format is unknown above; `raw` if nothing speaks against it.
 * @throws PipelineError `disk-unreadable` for a format that is not read
 */
export async function recognizeOther(file: string): Promise<string> {
  const { head, tail } = await readEnds(file)
  const found = otherFormats.find(({ at, magic }) => head.toString('latin1', at, at + magic.length) === magic)
  const other = tail.toString('latin1', 0, 4) === 'koly' ? 'dmg' : found?.driver
  if (other === undefined || found?.isRead) return other ?? 'raw'
  throw unreadableDisk(
    `cannot read the disk ${file}: it is in the format ${other}, which is not read here`,
    undefined,
    `if you trust it, convert it first: qemu-img convert -O qcow2 ${file} copy.qcow2`,
  )
}

// --- internal ---

async function readEnds(file: string): Promise<{ readonly head: Buffer; readonly tail: Buffer }> {
  const unreadable = (cause: unknown) =>
    unreadableDisk(`cannot read the disk ${file}: ${messageOf(cause)}`, cause)
  const handle = await openToRead(file).catch((cause) => {
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

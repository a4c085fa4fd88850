/** Formats of disk images, recognized by file name and by content. */

import { extname } from 'node:path'
import { messageOf, type PipelineError } from '../errors.ts'
import { openToRead } from '../host/regular-file.ts'
import { quote } from '../host/shell-words.ts'
import { unreadableDisk } from './unreadable.ts'

export type DiskFormat = 'qcow2' | 'vhd' | 'vhdx' | 'vmdk' | 'ova' | 'raw'

/** Formats by file extension, for unambiguous extensions. */
const formatsByEnding: Readonly<Record<string, DiskFormat>> = {
  '.qcow2': 'qcow2',
  '.raw': 'raw',
  '.vhd': 'vhd',
  '.vhdx': 'vhdx',
  '.vmdk': 'vmdk',
  '.ova': 'ova',
}

/** The format for a file's extension; undefined if that is ambiguous. */
export function formatByEnding(path: string): DiskFormat | undefined {
  return formatsByEnding[extname(path).toLowerCase()]
}

/** QEMU's name for a format. */
export function driverOf(format: Exclude<DiskFormat, 'ova'>): string {
  return format === 'vhd' ? 'vpc' : format
}

/** The format of a file by its first and last bytes; undefined if unknown. */
export async function recognizeFormat(file: string): Promise<DiskFormat | undefined> {
  const ends = await readEnds(file)
  const marked = markedFormats.find((format) => marks[format](ends))
  return marked ?? (ends.head.length === 512 && ends.head.readUInt16LE(510) === 0xaa55 ? 'raw' : undefined)
}

/**
 * QEMU's name for the format of a file that `recognizeFormat` does not recognize; `raw` if nothing indicates otherwise.
 * @throws PipelineError `disk-unreadable` for a format that we refuse to read
 */
export async function recognizeOther(file: string): Promise<string> {
  const found = findOther(await readEnds(file))
  if (found?.isRead === false) throw notRead(file, found.driver)
  return found?.driver ?? 'raw'
}

/** @throws PipelineError `disk-unreadable` for a file in a format that only QEMU knows */
export async function requireOwnFormat(file: string): Promise<void> {
  const found = findOther(await readEnds(file))
  if (found !== undefined) throw notRead(file, found.driver)
}

/**
 * Requires that a file has the magic number of the format that its name indicates. Parsed as another format, it would be
 * reported as broken, or as referring to files that nobody named. A raw disk has no magic number and can start with any
 * bytes.
 * @throws PipelineError `disk-unreadable`
 */
export async function requireMark(file: string, format: DiskFormat): Promise<void> {
  if (format === 'raw') return
  const ends = await readEnds(file)
  if (marks[format](ends)) return
  const other = findOther(ends)
  if (other !== undefined) throw notRead(file, other.driver)
  const found = markedFormats.find((one) => marks[one](ends))
  throw unreadableDisk(
    `cannot read the disk ${file}: its name says ${format}, but it begins like ${found ?? 'no format that this program reads'}`,
    undefined,
    found === undefined
      ? 'give a qcow2, VHD, VHDX, VMDK, OVA or raw disk, under a name with that ending.'
      : `if its content is right, rename it to disk.${found}; if its name is right, it is damaged: get another copy.`,
  )
}

// --- internal ---

/** The first and the last 512 bytes of a file, or all of a shorter one. */
interface Ends {
  readonly head: Buffer
  readonly tail: Buffer
}

const has = (bytes: Buffer, text: string, at = 0) => bytes.toString('latin1', at, at + text.length) === text

const marks: Readonly<Record<Exclude<DiskFormat, 'raw'>, (ends: Ends) => boolean>> = {
  // Version 1 is a different format.
  qcow2: ({ head }) => has(head, 'QFI\u00fb\0\0\0') && !has(head, '\u0001', 7),
  // A fixed VHD is the raw disk followed by a footer.
  vhd: ({ head, tail }) => has(head, 'conectix') || has(tail, 'conectix'),
  vhdx: ({ head }) => has(head, 'vhdxfile'),
  vmdk: ({ head }) => has(head, 'KDMV') || has(head, '# Disk DescriptorFile'),
  ova: ({ head }) => has(head, 'ustar', 257),
}

const markedFormats = Object.keys(marks) as readonly (keyof typeof marks)[]

/** Formats that only QEMU knows. Those that can refer to other files, or that hide the disk, are not read. */
const otherFormats = [
  { driver: 'vdi', at: 64, magic: '\u007f\u0010\u00da\u00be', isRead: true },
  { driver: 'parallels', at: 0, magic: 'WithoutFreeSpace', isRead: true },
  { driver: 'parallels', at: 0, magic: 'WithouFreSpacExt', isRead: true },
  { driver: 'qcow', at: 0, magic: 'QFI\u00fb\0\0\0\u0001', isRead: false },
  { driver: 'qed', at: 0, magic: 'QED\0', isRead: false },
  { driver: 'luks', at: 0, magic: 'LUKS\u00ba\u00be', isRead: false },
  { driver: 'vmdk of ESX 3', at: 0, magic: 'COWD', isRead: false },
  { driver: 'bochs', at: 0, magic: 'Bochs Virtual HD Image', isRead: false },
  { driver: 'cloop', at: 0, magic: '#!/bin/sh\n#V2.0 Format\n', isRead: false },
] as const

function findOther({ head, tail }: Ends): { readonly driver: string; readonly isRead: boolean } | undefined {
  if (has(tail, 'koly')) return { driver: 'dmg', isRead: false }
  return otherFormats.find(({ at, magic }) => has(head, magic, at))
}

function notRead(file: string, driver: string): PipelineError {
  return unreadableDisk(
    `cannot read the disk ${file}: it is in the format ${driver}, which this program does not read`,
    undefined,
    `if you trust it, convert it first: qemu-img convert -O qcow2 ${quote(file)} copy.qcow2`,
  )
}

async function readEnds(file: string): Promise<Ends> {
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

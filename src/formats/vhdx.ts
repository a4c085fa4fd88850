/** VHDX for newer Hyper-V: written by qemu-img, whose random numbers are then replaced with ones derived from the content. */

import { type FileHandle, open } from 'node:fs/promises'
import { uuidFrom } from '../digest.ts'
import { imageNode } from '../disk/block-node.ts'
import { compareImages, convertImage, requireSound } from '../disk/qemu-img.ts'
import { readerOf } from '../disk/references/reference.ts'
import { findVhdxItem } from '../disk/vhdx-items.ts'
import { readAt, writeAt } from './file-bytes.ts'
import type { RawDisk } from './raw-disk.ts'

export interface VhdxOptions {
  /** Seed of the disk's identifiers: the same for the same content. */
  readonly uuidSeed: string
}

/** Writes a dynamic VHDX, always the same for the same disk, and compares it with the disk, using qemu-img. */
export async function writeVhdx(
  disk: RawDisk,
  file: string,
  { uuidSeed }: VhdxOptions,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const from = imageNode('raw', disk.path)
  const options = { subformat: 'dynamic' }
  await convertImage({ from, to: file, format: 'vhdx', options }, signal, onProgress)
  const target = await open(file, 'r+')
  try {
    await replaceRandom(target, uuidSeed)
  } finally {
    await target.close()
  }
  const written = imageNode('vhdx', file)
  await requireSound(written, signal)
  await compareImages(from, written, signal)
}

/** Both headers; the one with the higher sequence number is current. */
const headerOffsets = [64 * 1024, 128 * 1024]
const headerBytes = 4096
const headerFields = {
  checksum: 4,
  sequence: 8,
  fileWriteGuid: 16,
  dataWriteGuid: 32,
  logGuid: 48,
  logBytes: 68,
  logOffset: 72,
} as const

/** As stored on disk: the first three of a GUID's five groups are little-endian. */
const diskIdItem = 'ab12cabee6b2234593efc309e000c746'

async function replaceRandom(target: FileHandle, seed: string): Promise<void> {
  const guid = (use: string) => Buffer.from(uuidFrom(`vhdx ${use} ${seed}`).replaceAll('-', ''), 'hex')
  const headers = await Promise.all(headerOffsets.map((offset) => readAt(target, offset, headerBytes)))
  const sequence = (header: Buffer) => header.readBigUInt64LE(headerFields.sequence)
  const [first, second] = headers as [Buffer, Buffer]
  const isFirstCurrent = sequence(first) > sequence(second)
  const current = isFirstCurrent ? first : second
  const { logGuid, logOffset, logBytes } = headerFields
  if (!current.subarray(logGuid, logGuid + 16).equals(Buffer.alloc(16))) {
    throw new Error('qemu-img left a VHDX whose log is still to be replayed')
  }
  for (const [index, header] of headers.entries()) {
    header.writeBigUInt64LE(header === current ? 2n : 1n, headerFields.sequence)
    guid('file').copy(header, headerFields.fileWriteGuid)
    guid('data').copy(header, headerFields.dataWriteGuid)
    header.fill(0, logGuid, logGuid + 16)
    header.writeUInt32LE(0, headerFields.checksum)
    header.writeUInt32LE(crc32c(header), headerFields.checksum)
    await writeAt(target, header, headerOffsets[index] as number)
  }
  // The log's old content is obsolete, but contains random numbers.
  const log = Buffer.alloc(current.readUInt32LE(logBytes))
  await writeAt(target, log, Number(current.readBigUInt64LE(logOffset)))
  const whole = { offset: 0, sizeBytes: (await target.stat()).size }
  const diskId = await findVhdxItem(readerOf(target, whole), diskIdItem)
  if (diskId === undefined) throw new Error('qemu-img wrote a VHDX without an identifier of the disk')
  await writeAt(target, guid('disk'), diskId.offset)
}

/** CRC-32C (Castagnoli), bit by bit, which is fast enough for two sectors. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return ~crc >>> 0
}

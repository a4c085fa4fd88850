/** Where in a file the disk is, and how QEMU reads it there: found out by what the file begins with. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { type BlockNode, fileNode, imageNode, stretchNode } from './block-node.ts'
import { readImageInfo } from './qemu-img.ts'

export type DiskFormat = 'qcow2' | 'vhd' | 'vhdx' | 'vmdk' | 'ova' | 'raw'

export interface DiskSource {
  readonly file: string
  readonly format: DiskFormat
  /** The disk as QEMU opens it; never to be written to. */
  readonly node: BlockNode
  /** Files inside an OVA, in order. */
  readonly members: readonly TarMember[]
}

/** A file in a tar. */
export interface TarMember {
  readonly name: string
  readonly offset: number
  readonly sizeBytes: number
}

const headBytes = 65_536

/** @throws PipelineError `image-unreadable` */
export async function locateDisk(file: string): Promise<DiskSource> {
  const { head, tail, sizeBytes } = await readEnds(file)
  const begins = (text: string, at = 0) => head.toString('latin1', at, at + text.length) === text
  const source = (format: DiskFormat, driver: string): DiskSource => ({
    file,
    format,
    node: imageNode(driver, file),
    members: [],
  })
  if (begins('QFI\u00fb')) return source('qcow2', 'qcow2')
  // A fixed VHD is the disk itself with a footer behind it.
  if (begins('conectix') || tail.toString('latin1', 0, 8) === 'conectix') return source('vhd', 'vpc')
  if (begins('vhdxfile')) return source('vhdx', 'vhdx')
  if (begins('KDMV') || begins('# Disk DescriptorFile')) return source('vmdk', 'vmdk')
  if (begins('ustar', 257)) return locateInTar(file, sizeBytes)
  if (head.length >= 512 && head.readUInt16LE(510) === 0xaa55) return source('raw', 'raw')
  throw unreadable(file, 'it is no disk image, or one in a format that is not known here')
}

async function readEnds(file: string): Promise<{ head: Buffer; tail: Buffer; sizeBytes: number }> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw unreadable(file, (cause as NodeJS.ErrnoException).code ?? 'it cannot be opened', cause)
  })
  try {
    const { size } = await handle.stat()
    const read = async (position: number, length: number) => {
      const buffer = Buffer.alloc(length)
      const { bytesRead } = await handle.read(buffer, 0, length, Math.max(0, position))
      return buffer.subarray(0, bytesRead)
    }
    return { head: await read(0, headBytes), tail: await read(size - 512, 512), sizeBytes: size }
  } finally {
    await handle.close()
  }
}

async function locateInTar(file: string, sizeBytes: number): Promise<DiskSource> {
  const members = await readTar(file, sizeBytes)
  const inside = stretchNode(fileNode(file), diskMember({ file, members }))
  return { file, format: 'ova', node: { driver: 'vmdk', file: inside }, members }
}

async function readTar(file: string, sizeBytes: number): Promise<readonly TarMember[]> {
  const handle = await open(file, 'r')
  try {
    const members: TarMember[] = []
    const header = Buffer.alloc(512)
    for (let position = 0; position + 512 <= sizeBytes; ) {
      await handle.read(header, 0, 512, position)
      const name = header.toString('utf8', 0, 100).replace(/\0.*$/s, '')
      if (name === '') break
      const size = Number.parseInt(header.toString('latin1', 124, 136), 8)
      if (!Number.isSafeInteger(size)) throw unreadable(file, `its entry ${name} has no size`)
      members.push({ name, offset: position + 512, sizeBytes: size })
      position += 512 + Math.ceil(size / 512) * 512
    }
    return members
  } finally {
    await handle.close()
  }
}

/** Size of the disk that a guest sees. */
export async function virtualSizeOf({ node }: DiskSource): Promise<number> {
  return (await readImageInfo(node))['virtual-size']
}

/** The disk inside an OVA. */
export function diskMember({ file, members }: Pick<DiskSource, 'file' | 'members'>): TarMember {
  const disk = members.find(({ name }) => name.endsWith('.vmdk'))
  if (disk === undefined) throw unreadable(file, 'it is a tar without a .vmdk in it')
  return disk
}

/** The text of a small file inside an OVA. */
export async function readMember(
  { file }: Pick<DiskSource, 'file'>,
  { offset, sizeBytes }: Omit<TarMember, 'name'>,
): Promise<string> {
  const handle = await open(file, 'r')
  try {
    const { buffer } = await handle.read(Buffer.alloc(sizeBytes), 0, sizeBytes, offset)
    return buffer.toString()
  } finally {
    await handle.close()
  }
}

/** Digest in hex of a file inside an OVA. */
export async function hashMember(
  { file }: DiskSource,
  { offset, sizeBytes }: TarMember,
  algorithm: string,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash(algorithm)
  const part = { start: offset, end: offset + sizeBytes - 1, highWaterMark: 1 << 20 }
  await pipeline(createReadStream(file, part), hash, { signal })
  return hash.digest('hex')
}

function unreadable(file: string, why: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: 'image-unreadable',
    message: `cannot read the image ${file}: ${why}`,
    hint: 'give a qcow2, VHD, VHDX, VMDK, OVA or raw disk; unpack an archive first.',
    exitCode: exitCodes.badInput,
    cause,
  })
}

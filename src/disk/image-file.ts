/** A disk image as a file of the host: its format, its size, and whether all of it is there. */

import { stat } from 'node:fs/promises'
import { dirname, extname, resolve as resolvePath } from 'node:path'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { type BlockNode, fileNode, imageNode, stretchNode } from './block-node.ts'
import { findDisksInOva } from './ova.ts'
import { checkImage, type ImageInfo, readImageChain } from './qemu-img.ts'
import type { ReadImage } from './qemu-img-arguments.ts'

export interface ImageFile {
  readonly path: string
  /** As qemu-img names it: `qcow2`, `vpc`, …; `ova` for the disk in an OVA. */
  readonly format: string
  /** Size of the disk in it. */
  readonly sizeBytes: number
  /** It, and all files of this host that the disk in it consists of or stands on. */
  readonly files: readonly string[]
  /** The disk as QEMU's block layer opens it. */
  readonly node: BlockNode
}

/**
 * Finds out what a disk is, and that it and all it stands on is whole.
 * @param format without it qemu-img judges by the content, which whoever wrote the disk decides
 * @throws PipelineError `disk-unreadable`
 */
export async function inspectImageFile(
  path: string,
  format: string | undefined,
  signal: AbortSignal,
): Promise<ImageFile> {
  await requireFile(path)
  const forced = format === 'ova' ? await diskOfOva(path) : format && imageNode(format, path)
  const [top, ...below] = await readImageChain(forced || { probed: path }, signal).catch((cause) => {
    signal.throwIfAborted()
    throw unreadableDisk(`cannot read the disk ${path}: ${messageOf(cause)}`, cause)
  })
  if (top['virtual-size'] === 0) throw unreadableDisk(`the disk ${path} has no bytes`)
  if (top.encrypted) throw unreadableDisk(`the disk ${path} is encrypted; export a copy that is not`)
  const node = forced || imageNode(top.format, path)
  await requireWhole(path, node, signal)
  for (const { filename, format } of below) await requireWhole(filename, { named: filename, format }, signal)
  const files = await findFiles(path, [top, ...below])
  return { path, format: format ?? top.format, sizeBytes: top['virtual-size'], files, node }
}

/** Those that are there: a part of a disk may also come over a network. */
async function findFiles(path: string, images: readonly ImageInfo[]): Promise<readonly string[]> {
  const names = images.flatMap(({ filename, 'format-specific': specific }, index) => {
    const folder = dirname(index === 0 ? resolvePath(path) : filename)
    const { extents = [], 'data-file': dataFile } = specific?.data ?? {}
    const parts = [...extents.map((extent) => extent.filename), ...(dataFile === undefined ? [] : [dataFile])]
    return [index === 0 ? path : filename, ...parts.map((part) => resolvePath(folder, part))]
  })
  const there = await Promise.all(
    names.map((name) =>
      stat(name).then(
        () => true,
        () => false,
      ),
    ),
  )
  return [...new Set(names.filter((_, index) => there[index]))]
}

/** Of anything else, a reader would wait for the first byte, or read for ever. @throws PipelineError `disk-unreadable` */
export async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const said = cause.code === 'ENOENT' ? 'there is no such file' : cause.message
    throw unreadableDisk(`cannot read the disk ${path}: ${said}`, cause)
  })
  if (found.isFile() || found.isBlockDevice()) return
  const kind = kinds.find(([is]) => found[is]())?.[1] ?? 'something else'
  throw unreadableDisk(`cannot read the disk ${path}: it is ${kind}, and no file`)
}

const kinds = [
  ['isDirectory', 'a folder'],
  ['isFIFO', 'a named pipe'],
  ['isCharacterDevice', 'a character device'],
  ['isSocket', 'a socket'],
] as const

const formatsByEnding: Readonly<Record<string, string>> = {
  '.qcow2': 'qcow2',
  '.raw': 'raw',
  '.vhd': 'vpc',
  '.vhdx': 'vhdx',
  '.vmdk': 'vmdk',
  '.ova': 'ova',
}

/**
 * The format that a name's ending stands for; undefined where it says nothing. A VHD of a fixed size has to be named:
 * its mark is at its end, where qemu-img does not look for one.
 */
export function formatByEnding(path: string): string | undefined {
  return formatsByEnding[extname(path).toLowerCase()]
}

/** qemu-img converts a file that is cut short without a word, with zeros for all that is not there. */
async function requireWhole(path: string, image: ReadImage, signal: AbortSignal): Promise<void> {
  const { status, said } = await checkImage(image, signal)
  if (status !== 'damaged') return
  const line = said.split('\n')[0]
  throw unreadableDisk(`the disk ${path} is damaged or cut short: qemu-img check says: ${line}`)
}

async function diskOfOva(path: string): Promise<BlockNode> {
  const disks = await findDisksInOva(path).catch((cause) => {
    throw unreadableDisk(`cannot read the disk ${path}: ${(cause as Error).message}`, cause)
  })
  const [disk] = disks ?? []
  if (disk === undefined || disks?.length !== 1) {
    throw unreadableDisk(
      disks === undefined ? `${path} is no OVA` : `${path} has ${disks.length} disks in it instead of one`,
    )
  }
  return { driver: 'vmdk', file: stretchNode(fileNode(path), disk) }
}

/** The error of a disk that is not what can be read. */
export function unreadableDisk(
  message: string,
  cause?: unknown,
  hint = 'give the path of a whole disk image that qemu-img reads, with its backing files where it looks for them.',
): PipelineError {
  return new PipelineError({
    code: 'disk-unreadable',
    message,
    hint,
    exitCode: exitCodes.badInput,
    cause,
  })
}

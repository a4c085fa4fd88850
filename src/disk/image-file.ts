/** A disk image as a file of the host: its format, its size, and whether all of it is there. */

import { stat } from 'node:fs/promises'
import { dirname, extname, resolve as resolvePath } from 'node:path'
import { execa } from 'execa'
import { exitCodes, PipelineError } from '../errors.ts'
import { findDisksInOva } from './ova.ts'

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

/** A node of QEMU's block layer: a driver, and what it reads. */
export interface BlockNode {
  readonly driver: string
  readonly offset?: number
  readonly size?: number
  readonly filename?: string
  readonly file?: BlockNode
}

/** How qemu-img is told of a node. */
export function nodeName(node: BlockNode): string {
  return `json:${JSON.stringify(node)}`
}

interface ImageInfo {
  readonly filename: string
  readonly format: string
  readonly 'virtual-size': number
  readonly encrypted?: boolean
  readonly 'format-specific'?: {
    readonly data?: {
      readonly extents?: readonly { readonly filename: string }[]
      readonly 'data-file'?: string
    }
  }
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
  // qemu-img takes a name with a colon in it for something else than a file, unless it begins with a slash.
  const file: BlockNode = { driver: 'file', filename: resolvePath(path) }
  const forced = format === 'ova' ? await diskOfOva(path, file) : format && { driver: format, file }
  const name = forced ? nodeName(forced) : resolvePath(path)
  const words = ['info', '--backing-chain', '--output=json', name]
  const info = await execa('qemu-img', words, { reject: false, timeout: 60_000, cancelSignal: signal })
  signal.throwIfAborted()
  if (info.exitCode !== 0) {
    const said = info.stderr?.trim() || (info.shortMessage ?? 'qemu-img failed')
    throw unreadableDisk(`cannot read the disk ${path}: ${said}`)
  }
  const [top, ...below] = JSON.parse(info.stdout) as readonly ImageInfo[]
  if (top === undefined || top['virtual-size'] === 0) throw unreadableDisk(`the disk ${path} has no bytes`)
  if (top.encrypted) throw unreadableDisk(`the disk ${path} is encrypted; export a copy that is not`)
  const node = forced || { driver: top.format, file }
  await requireSound(path, [nodeName(node)], signal)
  for (const { filename, format } of below) await requireSound(filename, ['-f', format, filename], signal)
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

/** What `qemu-img check` says with its exit status, where there is nothing to be afraid of. */
const soundStatus = { noErrors: 0, leakedSpaceOnly: 3, formatHasNoCheck: 63 } as const

/** qemu-img converts a file that is cut short without a word, with zeros for all that is not there. */
async function requireSound(path: string, words: readonly string[], signal: AbortSignal): Promise<void> {
  const check = await execa('qemu-img', ['check', ...words], {
    reject: false,
    timeout: 3_600_000,
    cancelSignal: signal,
  })
  signal.throwIfAborted()
  if (Object.values(soundStatus).some((status) => status === check.exitCode)) return
  const summary = /^\d+ errors were found.*$/m.exec(check.stdout)?.[0]
  const said = summary ?? (check.stderr.trim().split('\n')[0] || check.shortMessage)
  throw unreadableDisk(`the disk ${path} is damaged or cut short: qemu-img check says: ${said}`)
}

async function diskOfOva(path: string, file: BlockNode): Promise<BlockNode> {
  const disks = await findDisksInOva(path).catch((cause) => {
    throw unreadableDisk(`cannot read the disk ${path}: ${(cause as Error).message}`, cause)
  })
  const [disk] = disks ?? []
  if (disk === undefined || disks?.length !== 1) {
    throw unreadableDisk(
      disks === undefined ? `${path} is no OVA` : `${path} has ${disks.length} disks in it instead of one`,
    )
  }
  return { driver: 'vmdk', file: { driver: 'raw', ...disk, file } }
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

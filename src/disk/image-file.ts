/** A complete disk image: its format, its size, and the local files it consists of. */

import { stat } from 'node:fs/promises'
import { dirname, resolve as resolvePath } from 'node:path'
import { messageOf } from '../errors.ts'
import { type BlockNode, imageNode } from './block-node.ts'
import { type DiskFormat, locateDisk, recognizeFormat, requireFile } from './disk-source.ts'
import { checkImage, type ImageInfo, readImageChain } from './qemu-img.ts'
import type { ReadImage } from './qemu-img-arguments.ts'
import { unreadableDisk } from './unreadable.ts'

export interface ImageFile {
  readonly path: string
  /** A format known here, or QEMU's name of another. */
  readonly format: DiskFormat | (string & {})
  /** Size of the disk in it. */
  readonly sizeBytes: number
  /** The file itself, and all local files that the disk in it consists of or is based on. */
  readonly files: readonly string[]
  /** The disk as QEMU's block layer opens it. */
  readonly node: BlockNode
}

/**
 * Determines a disk's format and size, and checks that it and all its backing files are complete.
 * @param format without it the content decides, as in `locateDisk`; QEMU recognizes formats that are unknown here
 * @throws PipelineError `disk-unreadable`
 */
export async function inspectImageFile(
  path: string,
  format: DiskFormat | undefined,
  signal: AbortSignal,
): Promise<ImageFile> {
  await requireFile(path)
  const known = format ?? (await recognizeFormat(path))
  const source = known && (await locateDisk(path, known))
  const [top, ...below] = await readImageChain(source?.node ?? { probed: path }, signal).catch((cause) => {
    signal.throwIfAborted()
    throw unreadableDisk(`cannot read the disk ${path}: ${messageOf(cause)}`, cause)
  })
  if (top['virtual-size'] === 0) throw unreadableDisk(`the disk ${path} has no bytes`)
  if (top.encrypted) throw unreadableDisk(`the disk ${path} is encrypted; export a copy that is not`)
  const node = source?.node ?? imageNode(top.format, path)
  await requireWhole(path, node, signal)
  for (const { filename, format } of below) await requireWhole(filename, { named: filename, format }, signal)
  const files = await findFiles(path, [top, ...below])
  return { path, format: known ?? top.format, sizeBytes: top['virtual-size'], files, node }
}

// --- internal ---

/** Only existing files: part of a disk may also come over a network. */
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

/** qemu-img silently converts a truncated file, with zeros for everything that is missing. */
async function requireWhole(path: string, image: ReadImage, signal: AbortSignal): Promise<void> {
  const { status, said } = await checkImage(image, signal).catch((cause) => {
    signal.throwIfAborted()
    throw unreadableDisk(`cannot check the disk ${path}: ${messageOf(cause)}`, cause)
  })
  if (status !== 'damaged') return
  const [line] = said.split('\n')
  throw unreadableDisk(`the disk ${path} is damaged or cut short: qemu-img check says: ${line}`)
}

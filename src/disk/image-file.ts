/** A complete disk image: its format, its size, and the local files it consists of. */

import { messageOf } from '../errors.ts'
import { type BlockNode, imageNode } from './block-node.ts'
import type { Backing } from './chain.ts'
import { type DiskFormat, recognizeFormat, recognizeOther } from './disk-format.ts'
import { locateDisk } from './disk-source.ts'
import { checkImage, readImageInfo } from './qemu-img.ts'
import { requireBounded, requireFile, unreadableDisk } from './unreadable.ts'

export interface ImageFile {
  readonly path: string
  /** A format known to this program, or QEMU's name for another. */
  readonly format: DiskFormat | (string & {})
  /** Size of the disk in the image. */
  readonly sizeBytes: number
  /** The file itself and all its backing files. */
  readonly files: readonly string[]
  /** The disk as QEMU's block layer opens it. */
  readonly node: BlockNode
}

export interface InspectOptions {
  /** If absent, the content decides, as in `locateDisk`; formats that only QEMU knows are read as well. */
  readonly format?: DiskFormat | undefined
  /** @default 'none' */
  readonly backing?: Backing | undefined
  readonly signal: AbortSignal
}

/**
 * Determines a disk's format and size, and checks that it and all its backing files are complete.
 * @throws PipelineError `disk-unreadable`, `disk-refers-elsewhere`
 */
export async function inspectImageFile(path: string, options: InspectOptions): Promise<ImageFile> {
  const { signal } = options
  await requireFile(path)
  const known = options.format ?? (await recognizeFormat(path))
  const { format, node, below } =
    known === undefined
      ? await locateOther(path)
      : await locateDisk(path, { format: known, backing: options.backing, signal })
  const facts = await readImageInfo(node, signal).catch((cause) => {
    signal.throwIfAborted()
    throw unreadableDisk(`cannot read the disk ${path}: ${messageOf(cause)}`, cause)
  })
  requireBounded(path, facts['virtual-size'])
  if (facts['virtual-size'] === 0) throw unreadableDisk(`the disk ${path} has no bytes`)
  if (facts.encrypted) throw unreadableDisk(`the disk ${path} is encrypted; export a copy that is not`)
  for (const link of [{ path, node }, ...below]) await requireWhole(link.path, link.node, signal)
  const files = [path, ...below.map((link) => link.path)]
  return { path, format, sizeBytes: facts['virtual-size'], files, node }
}

// --- internal ---

async function locateOther(path: string) {
  const format = await recognizeOther(path)
  return { format, node: imageNode(format, path), below: [] }
}

/** Without this check, qemu-img would silently convert a truncated file, with zeros for everything missing. */
async function requireWhole(path: string, node: BlockNode, signal: AbortSignal): Promise<void> {
  const { status, said } = await checkImage(node, signal).catch((cause) => {
    signal.throwIfAborted()
    throw unreadableDisk(`cannot check the disk ${path}: ${messageOf(cause)}`, cause)
  })
  if (status !== 'damaged') return
  const [line] = said.split('\n')
  throw unreadableDisk(`the disk ${path} is damaged or truncated: qemu-img check says: ${line}`)
}

/** Locates the disk inside a file, and describes how QEMU reads it there. */

import type { BlockNode } from './block-node.ts'
import { type Backing, openChain } from './chain.ts'
import { type DiskFormat, recognizeFormat, requireMark, requireOwnFormat } from './disk-format.ts'
import { locateInOva } from './ova.ts'
import { readImageInfo } from './qemu-img.ts'
import type { TarMember } from './tar.ts'
import { requireBounded, requireFile, unreadableDisk } from './unreadable.ts'

export interface DiskSource {
  readonly file: string
  readonly format: DiskFormat
  /** The disk as QEMU opens it; never to be written to. */
  readonly node: BlockNode
  /** Files inside an OVA, in order. */
  readonly members: readonly TarMember[]
  /** The backing files, each with everything below it. */
  readonly below: readonly { readonly path: string; readonly node: BlockNode }[]
}

export interface LocateOptions {
  /** If absent, the content decides, and so the author of the disk does: specify the format of an untrusted disk. */
  readonly format?: DiskFormat | undefined
  /** @default 'none' */
  readonly backing?: Backing | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Locates the disk in a file, without checking that it is complete and sound. An image that refers to other files is refused
 * before QEMU opens it.
 * @throws PipelineError `disk-unreadable`, `disk-refers-elsewhere`
 */
export async function locateDisk(
  file: string,
  { format, backing = 'none', signal }: LocateOptions = {},
): Promise<DiskSource> {
  await requireFile(file)
  const found = format ?? (await recognizeFormat(file))
  if (found === undefined) {
    await requireOwnFormat(file)
    throw unreadableDisk(
      `cannot read the disk ${file}: it is not a disk image, or is one in an unknown format`,
      undefined,
      'give a qcow2, VHD, VHDX, VMDK, OVA or raw disk; unpack an archive first.',
    )
  }
  await requireMark(file, found)
  if (found === 'ova') return { file, format: found, ...(await locateInOva(file, signal)), below: [] }
  const [{ node }, ...below] = await openChain(file, found, backing)
  return { file, format: found, node, members: [], below }
}

/** Size of the disk as a guest sees it. @throws PipelineError `disk-unreadable` */
export async function virtualSizeOf({ file, node }: Pick<DiskSource, 'file' | 'node'>): Promise<number> {
  const { 'virtual-size': sizeBytes } = await readImageInfo(node)
  requireBounded(file, sizeBytes)
  return sizeBytes
}

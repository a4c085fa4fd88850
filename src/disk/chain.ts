/** A disk and its backing files as one node, which QEMU opens without looking up any file by itself. */

import { dirname, resolve } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { type BlockNode, fileNode } from './block-node.ts'
import { type DiskFormat, driverOf } from './disk-format.ts'
import { requireTablesFit } from './qcow2-tables.ts'
import { readReferences } from './references/read.ts'
import type { Reference } from './references/reference.ts'
import { requireFile, unreadableDisk } from './unreadable.ts'

/**
 * Which backing files of a qcow2 are opened: none, those in the same folder (like the layers of a store), or all that are
 * files on this host.
 */
export type Backing = 'none' | 'same folder' | 'local files'

/** One image of a chain. */
export interface ChainLink {
  readonly path: string
  /** The image as QEMU opens it, with everything below. */
  readonly node: BlockNode
}

type PlainFormat = Exclude<DiskFormat, 'ova'>

/** No build makes so many layers. */
const longestChain = 256

/**
 * Follows a disk's backing files.
 * @returns the disk itself, and the files below it in order
 * @throws PipelineError `disk-refers-elsewhere`, `disk-unreadable`
 */
export async function openChain(
  path: string,
  format: PlainFormat,
  backing: Backing,
): Promise<readonly [ChainLink, ...ChainLink[]]> {
  const files = await followBacking(path, format, backing)
  const links: ChainLink[] = []
  for (const file of [...files].reverse()) {
    const below = links[0] === undefined ? {} : { backing: links[0].node }
    links.unshift({ path: file.path, node: { ...nodeOf(file), ...below } })
  }
  return links as unknown as readonly [ChainLink, ...ChainLink[]]
}

/** @throws PipelineError `disk-refers-elsewhere` if an image has any reference */
export function requireNoReference(path: string, [reference]: readonly Reference[]): void {
  if (reference !== undefined) throw refersElsewhere(path, reference)
}

// --- internal ---

interface ChainFile {
  readonly path: string
  readonly format: PlainFormat
}

function nodeOf({ path, format }: ChainFile): BlockNode {
  const node = { driver: driverOf(format), file: fileNode(path) }
  // QEMU would open one that was written into the header since it was read here.
  return format === 'qcow2' ? { ...node, backing: null } : node
}

async function followBacking(
  path: string,
  format: PlainFormat,
  backing: Backing,
): Promise<readonly ChainFile[]> {
  const files: ChainFile[] = [{ path, format }]
  for (let top = files[0] as ChainFile; ; top = files.at(-1) as ChainFile) {
    const references = await readReferences(top.path, top.format)
    if (top.format === 'qcow2') await requireTablesFit(top.path)
    const [reference, ...others] = references
    if (reference === undefined) return files
    const below = others.length === 0 ? placeBelow(top, reference, backing) : undefined
    if (below === undefined) throw refersElsewhere(top.path, others[0] ?? reference, backing)
    await requireFile(below.path)
    files.push(below)
    if (files.length > longestChain) {
      throw unreadableDisk(`cannot read the disk ${path}: it has more than ${longestChain} backing files`)
    }
  }
}

/** QEMU's names for the formats that a backing file can have. */
const backingFormats: Readonly<Record<string, PlainFormat>> = { qcow2: 'qcow2', raw: 'raw' }

function placeBelow(
  { path, format }: ChainFile,
  { kind, name, format: stated = '' }: Reference,
  backing: Backing,
): ChainFile | undefined {
  // QEMU takes the part before a colon as a protocol.
  const isFile = name !== '' && !/^[^/]*:/.test(name)
  if (format !== 'qcow2' || kind !== 'backing file' || !isFile || backing === 'none') return undefined
  if (backing === 'same folder' && dirname(name) !== '.') return undefined
  const below = backingFormats[stated]
  // Without a format, the first bytes of the file would decide, and a guest may have written those.
  return below === undefined ? undefined : { path: resolve(dirname(path), name), format: below }
}

function refersElsewhere(
  path: string,
  { kind, name, format }: Reference,
  backing: Backing = 'none',
): PipelineError {
  const called = name === '' ? 'without a name' : JSON.stringify(name)
  const hasNoFormat = kind === 'backing file' && backing === 'local files' && format === undefined
  return new PipelineError({
    code: 'disk-refers-elsewhere',
    message: `the disk ${path} refers to another file, which is not opened: ${kind} ${called}`,
    hint: hasNoFormat
      ? `it does not say the format of that file: add it with qemu-img rebase -u -b FILE -F FORMAT.`
      : 'if you trust it, make one file of it: qemu-img convert -O qcow2; for a qcow2 with local backing files, export and diff have --with-backing-files.',
    exitCode: exitCodes.badInput,
    details: { kind, name },
  })
}

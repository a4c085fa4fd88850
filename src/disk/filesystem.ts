/** One ext2, ext3, or ext4 filesystem in a local file: its tree, its contents, its superblock. */

import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { askDebugfs, type ContentRequest, replayJournal, streamContent } from './debugfs.ts'
import { type FolderEntry, type Inode, mostNames, readFolders, readInodes } from './inodes.ts'
import { decodeName } from './names.ts'
import { requireAtMost, unreadableDisk } from './unreadable.ts'

/** The fields of a superblock. */
export interface Superblock {
  readonly features: readonly string[]
  /** `clean`, or what is wrong. */
  readonly state: string
  readonly blockBytes: number
  readonly blocks: number
  /** Blocks reserved for root. */
  readonly reservedBlocks: number
  readonly freeBlocks: number
  readonly inodes: number
  readonly freeInodes: number
}

const rootInode = 2

/** Reads the superblock of the filesystem in a file. */
export async function readSuperblock(filesystem: string, signal: AbortSignal): Promise<Superblock> {
  const { text } = await askDebugfs(filesystem, ['show_super_stats -h'], signal)
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? ''
  return {
    features: field('Filesystem features').split(' ').filter(Boolean),
    state: field('Filesystem state'),
    blockBytes: Number(field('Block size')),
    blocks: Number(field('Block count')),
    reservedBlocks: Number(field('Reserved block count')),
    freeBlocks: Number(field('Free blocks')),
    inodes: Number(field('Inode count')),
    freeInodes: Number(field('Free inodes')),
  }
}

/** Replays the journal into the filesystem, so that reading it gives the same result as mounting it. */
export async function settleJournal(filesystem: string, signal: AbortSignal): Promise<Superblock> {
  const superblock = await readSuperblock(filesystem, signal)
  if (!superblock.features.includes('needs_recovery')) return superblock
  await replayJournal(filesystem, signal)
  return readSuperblock(filesystem, signal)
}

/** The content of one folder, found from the root without following links; empty if it does not exist. */
export async function readFolder(
  filesystem: string,
  path: string,
  signal: AbortSignal,
): Promise<readonly FolderEntry[]> {
  let inode = rootInode
  for (const name of path.split('/').filter(Boolean)) {
    const [entries = []] = await readFolders(filesystem, [inode], mostNames, signal)
    const next = entries.find((entry) => entry.isFolder && entry.name === name)
    if (next === undefined) return []
    inode = next.inode
  }
  const [entries = []] = await readFolders(filesystem, [inode], mostNames, signal)
  return entries
}

/**
 * Every file by its path from this filesystem's root, which is `/`; each folder comes before its content.
 * @param most limit on the number of names
 * @throws PipelineError `disk-unreadable`
 */
export async function readTree(
  filesystem: string,
  most: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Inode>> {
  const numbers = await walk(filesystem, most, signal)
  const unique = [...new Set(numbers.values())]
  const inodes = new Map<number, Inode>()
  for (const inode of await readInodes(filesystem, unique, signal)) inodes.set(inode.inode, inode)
  const targets = await readTargets(filesystem, [...inodes.values()], signal)
  const tree = new Map<string, Inode>()
  for (const [path, number] of numbers) {
    const inode = inodes.get(number) as Inode
    tree.set(path, inode.type === 'link' ? { ...inode, target: inode.target ?? targets.get(number) } : inode)
  }
  return tree
}

/** A large size in an inode takes no space: a file can claim far more bytes than its disk has. */
const mostContentBytes = 1024 ** 3

/** Limit for one file: a longer one does not fit into a string. */
const mostFileBytes = 256 * 1024 ** 2

/** Bytes that files can have beyond the data on their disk: holes, and blocks that several of them share. */
export const mostHoleBytes = 8 * 1024 ** 3

/** Contents of files, by inode. @throws PipelineError `disk-unreadable` if they are too large for memory */
export async function readContents(
  filesystem: string,
  requests: readonly ContentRequest[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Buffer>> {
  const parts = new Map<number, Buffer[]>(requests.map(({ inode }) => [inode, []]))
  const { unique, totalBytes } = withoutLinks(requests)
  requireAtMost(totalBytes, mostContentBytes, 'bytes in files that are read at once')
  for (const { sizeBytes } of unique) requireAtMost(sizeBytes, mostFileBytes, 'bytes in a file that is read')
  const keep = ({ inode }: ContentRequest, bytes: Buffer) => void parts.get(inode)?.push(Buffer.from(bytes))
  await streamContent(filesystem, unique, keep, signal)
  return new Map([...parts].map(([inode, chunks]) => [inode, Buffer.concat(chunks)]))
}

/**
 * sha256 of files, in hex, by inode; never holds a whole file in memory.
 * @throws PipelineError `disk-unreadable` if they have far more bytes than the filesystem
 */
export async function digestContents(
  filesystem: string,
  requests: readonly ContentRequest[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, string>> {
  const { unique, totalBytes } = withoutLinks(requests)
  const dataBytes = (await stat(filesystem)).blocks * 512
  requireAtMost(totalBytes, dataBytes + mostHoleBytes, 'bytes in files, holes included')
  const hashes = new Map(unique.map(({ inode }) => [inode, createHash('sha256')]))
  await streamContent(filesystem, unique, ({ inode }, bytes) => hashes.get(inode)?.update(bytes), signal)
  return new Map([...hashes].map(([inode, hash]) => [inode, hash.digest('hex')]))
}

// --- internal ---

/** Each file once, however many names it has, and the total number of bytes. */
function withoutLinks(requests: readonly ContentRequest[]) {
  const unique = [...new Map(requests.map((request) => [request.inode, request])).values()]
  return { unique, totalBytes: unique.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0) }
}

/** Limit for nested folders. Each level costs a call, and real disks have thirty. */
const mostLevels = 200

/** Limit for the characters in all paths of a filesystem; a system VM has six million. */
const mostPathCharacters = 1e8

/** Inodes by path, level by level: one call for each level of the tree. */
async function walk(
  filesystem: string,
  most: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const numbers = new Map<string, number>([['/', rootInode]])
  const seen = new Set([rootInode])
  let characters = 0
  let level: readonly (readonly [string, number])[] = [['', rootInode]]
  for (let depth = 0; level.length > 0; depth += 1) {
    requireAtMost(depth, mostLevels, 'levels of folders')
    const folders = await readFolders(
      filesystem,
      level.map(([, inode]) => inode),
      most - numbers.size,
      signal,
    )
    const next: [string, number][] = []
    for (const [index, [folder]] of level.entries()) {
      for (const { inode, name, isFolder } of folders[index] as readonly FolderEntry[]) {
        const path = `${folder}/${name}`
        characters += path.length
        requireAtMost(characters, mostPathCharacters, 'characters in paths')
        numbers.set(path, inode)
        if (!isFolder) continue
        if (seen.has(inode)) throw unreadableDisk(`the folder ${path} is in the disk's tree twice`)
        seen.add(inode)
        next.push([path, inode])
      }
    }
    level = next
  }
  return numbers
}

/** Targets of links that are too long for an inode. */
async function readTargets(
  filesystem: string,
  inodes: readonly Inode[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, string>> {
  const long = inodes.filter(({ type, target }) => type === 'link' && target === undefined)
  const contents = await readContents(filesystem, long, signal)
  return new Map([...contents].map(([inode, bytes]) => [inode, decodeName(bytes)]))
}

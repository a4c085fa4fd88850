/** debugfs requests that create files on an empty filesystem: a pure function of the files. */

import { posix } from 'node:path'
import type { Inode } from '../disk/inodes.ts'
import { encodeName, showName } from '../disk/names.ts'
import { PipelineError } from '../errors.ts'

/** Where the bytes of files are on the host. */
export interface Contents {
  /** Path of a file with the content of an inode. */
  readonly contentOf: (inode: number) => string
  /** Path of a file with the value of an inode's attribute. */
  readonly attributeOf: (inode: number, name: string) => string
}

export interface RequestOptions {
  /** Seconds since 1970. */
  readonly epoch: number
  /** Whether the filesystem records the location of data as extents. */
  readonly hasExtents: boolean
}

/** A request, and the inode whose content it reads. */
export interface Request {
  readonly line: Buffer
  readonly reads?: number
}

/** A file with one of its names. */
export type NamedInode = readonly [path: string, inode: Inode]

/** A tree in the order in which its files are created: by name, byte by byte, each folder right before its content. */
export function inOrder(tree: ReadonlyMap<string, Inode>): readonly NamedInode[] {
  return [...tree].sort(([one], [other]) => Buffer.compare(sortable(one), sortable(other)))
}

/**
 * Requests that create every file, with timestamps no later than `epoch`.
 * @param files every file, `/` and each folder before its content
 * @throws PipelineError `repack-unfit` if debugfs cannot create a file
 */
export function renderRequests(
  files: readonly NamedInode[],
  contents: Contents,
  options: RequestOptions,
): readonly Request[] {
  const firstNames = new Map<number, string>()
  const making: Request[] = []
  const setting: Request[] = []
  for (const [path, inode] of files) {
    const first = firstNames.get(inode.inode)
    if (first !== undefined) {
      making.push(request('ln', first, path))
      continue
    }
    firstNames.set(inode.inode, path)
    if (!isMade(path)) making.push(...makingRequests(path, inode, contents))
    setting.push(...settingRequests(path, inode, contents, options))
  }
  return [...making, ...setting]
}

// --- internal ---

/** Whether every new filesystem already has this path. */
function isMade(path: string): boolean {
  return path === '/' || path === '/lost+found'
}

function makingRequests(
  path: string,
  { type, inode, target = '', device = '' }: Inode,
  contents: Contents,
): readonly Request[] {
  switch (type) {
    case 'folder':
      return [request('mkdir', path)]
    case 'file':
      return [{ ...request('write', contents.contentOf(inode), path), reads: inode }]
    case 'link':
      return [request('symlink', path, target)]
    case 'character':
      return mknod(path, 'c', ...device.split(':'))
    case 'block':
      return mknod(path, 'b', ...device.split(':'))
    case 'pipe':
      return mknod(path, 'p')
    case 'socket':
      throw unfit(path, 'is a socket')
  }
}

/** The only request that does not take a path. */
function mknod(path: string, ...words: readonly string[]): readonly Request[] {
  return [request('cd', posix.dirname(path)), request('mknod', posix.basename(path), ...words)]
}

const typeBits: Readonly<Record<Inode['type'], number>> = {
  pipe: 0o010000,
  character: 0o020000,
  folder: 0o040000,
  block: 0o060000,
  file: 0o100000,
  link: 0o120000,
  socket: 0o140000,
}

/** A flag that belongs to the inode itself and must survive when all of its flags are set. */
const extentsFlag = 0x80000

/** debugfs gives every file its own idea of the current time, which is the epoch, and root as the owner. */
function settingRequests(
  path: string,
  { type, mode, uid, gid, links, modifiedAt, attributes, flags, inode }: Inode,
  contents: Contents,
  { epoch, hasExtents }: RequestOptions,
): readonly Request[] {
  const set = (field: string, value: string) => request('set_inode_field', path, field, value)
  const requests = [set('mode', `0${(typeBits[type] | mode).toString(8)}`)]
  if (uid !== 0) requests.push(set('uid', `${uid}`))
  if (gid !== 0) requests.push(set('gid', `${gid}`))
  if (modifiedAt !== epoch) requests.push(set('mtime', `@${Math.max(0, Math.min(modifiedAt, epoch))}`))
  // Link counts of folders follow from their contents.
  if (type !== 'folder' && links !== 1) requests.push(set('links_count', `${links}`))
  if (flags !== 0) requests.push(set('flags', `0x${(flags | (hasExtents ? extentsFlag : 0)).toString(16)}`))
  for (const name of [...attributes.keys()].sort())
    requests.push(request('ea_set', '-f', contents.attributeOf(inode, name), path, name))
  return requests
}

/** debugfs reads a line into a buffer of 8,192 bytes. */
const longestRequest = 8000

function request(verb: string, ...words: readonly string[]): Request {
  const quoted = words.map((word) => `"${word.replaceAll('"', '""')}"`)
  const line = encodeName([verb, ...quoted].join(' '))
  const name = words.find((word) => word.startsWith('/')) ?? ''
  if (/[\r\n]/.test(words.join(''))) throw unfit(name, 'has a line break in its name or target')
  if (line.length > longestRequest) throw unfit(name, `has ${line.length} bytes in its name and target`)
  return { line }
}

function unfit(path: string, what: string): PipelineError {
  return new PipelineError({
    code: 'repack-unfit',
    message: `the final disk cannot be recreated: ${showName(path)} ${what}`,
    hint: "remove it in a stage, such as cleanup, or keep the last stage's disk with reproducible: false.",
    details: { path },
  })
}

/** Sorting the slash before all other bytes keeps the contents of a folder together. */
function sortable(path: string): Buffer {
  return encodeName(path === '/' ? '' : path).map((byte) => (byte === 0x2f ? 0 : byte)) as Buffer
}

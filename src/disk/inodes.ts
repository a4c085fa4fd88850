/** Parses debugfs's output about inodes and folders. */

import { readAttributes } from './attributes.ts'
import { type Answers, askDebugfs } from './debugfs.ts'
import { decodeName } from './names.ts'
import { requireAtMost, unreadableDisk } from './unreadable.ts'

export type FileType = 'file' | 'folder' | 'link' | 'character' | 'block' | 'pipe' | 'socket'

/** A file without its names. */
export interface Inode {
  readonly type: FileType
  /** Permissions, including the setuid, setgid, and sticky bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  /** Seconds since 1970. */
  readonly modifiedAt: number
  readonly inode: number
  /** Number of names (hard links). */
  readonly links: number
  /** Target of a link. */
  readonly target: string | undefined
  /** `major:minor` of a device. */
  readonly device: string | undefined
  /** Extended attributes, including capabilities and ACLs. */
  readonly attributes: ReadonlyMap<string, Buffer>
  /** Flags that chattr(1) sets, such as immutable (0x10). */
  readonly flags: number
}

/** A name in a folder. */
export interface FolderEntry {
  readonly inode: number
  readonly isFolder: boolean
  readonly name: string
}

/**
 * Limit for names on a disk, several times that of the largest system VM. A name takes few bytes there, but many in memory.
 */
export const mostNames = 500_000

/**
 * Reads folders in the given order, without `.` and `..`.
 * @param most limit on the names in all of them: the rest of `mostNames`
 * @throws PipelineError `disk-unreadable`
 */
export async function readFolders(
  filesystem: string,
  inodes: readonly number[],
  most: number,
  signal: AbortSignal,
): Promise<readonly (readonly FolderEntry[])[]> {
  const requests = inodes.map((inode) => `ls -p <${inode}>`)
  const answers = await askDebugfs(filesystem, requests, signal)
  let count = 0
  const folders = requests.map((request) => {
    answers.begin(request)
    const entries: FolderEntry[] = []
    let isWhole = false
    for (let line = answers.take(entryLine); line !== undefined; line = answers.take(entryLine)) {
      const [, inode, mode = '', name = ''] = line
      // Deleted entries have inode 0.
      if (name === '.') isWhole = true
      if (inode === '0' || name === '.' || name === '..') continue
      count += 1
      requireAtMost(mostNames - most + count, mostNames, 'names')
      const isFolder = mode.startsWith('04')
      entries.push({ inode: Number(inode), isFolder, name: decodeName(Buffer.from(name, 'latin1')) })
    }
    answers.take(/\n/y)
    // debugfs shows a folder with a damaged block list as completely empty, even without its own entry.
    if (!isWhole) throw unreadableDisk(`the filesystem ${filesystem} has a damaged folder: ${request}`)
    return entries
  })
  answers.end()
  return folders
}

/** `/inode/mode/uid/gid/name/size/`. Names contain no slash, so a match cannot end too early. */
const entryLine = /\/(\d+)\/(\d{6})\/-?\d+\/-?\d+\/([^/]*)\/\d*\/\n/y

/** An answer has about a thousand characters, and all answers form one string. */
const inodesAtOnce = 50_000

/** Reads inodes. The target of a link is set if the inode stores it, and `undefined` if a block does. */
export async function readInodes(
  filesystem: string,
  inodes: readonly number[],
  signal: AbortSignal,
): Promise<readonly Inode[]> {
  const found: Inode[] = []
  for (let from = 0; from < inodes.length; from += inodesAtOnce) {
    const some = await readSomeInodes(filesystem, inodes.slice(from, from + inodesAtOnce), signal)
    for (const inode of some) found.push(inode)
  }
  return found
}

// --- internal ---

async function readSomeInodes(
  filesystem: string,
  inodes: readonly number[],
  signal: AbortSignal,
): Promise<readonly Inode[]> {
  const requests = inodes.map((inode) => `stat <${inode}>`)
  const answers = await askDebugfs(filesystem, requests, signal)
  const found = requests.map((request, index) => {
    answers.begin(request)
    return readInode(answers, inodes[index] as number)
  })
  answers.end()
  const values = await readAttributes(
    filesystem,
    found.flatMap(({ inode, attributeSizes }) =>
      [...attributeSizes].map(([name, sizeBytes]) => ({ inode, name, sizeBytes })),
    ),
    signal,
  )
  return found.map(({ attributeSizes, ...inode }) => ({
    ...inode,
    attributes: values.get(inode.inode) ?? new Map(),
  }))
}

const types: Readonly<Record<string, FileType>> = {
  regular: 'file',
  directory: 'folder',
  symlink: 'link',
  'character special': 'character',
  'block special': 'block',
  FIFO: 'pipe',
  socket: 'socket',
}

const firstLines =
  /Inode: \d+ +Type: ([a-zA-Z ]+?) +Mode: +(\d+) +Flags: 0x([0-9a-f]+)\nGeneration: .*\nUser: +(-?\d+) +Group: +(-?\d+) .*?Size: (\d+)\n(?:File ACL: .*\n)Links: (\d+) .*\n/y
/** The flags of `FS_IOC_SETFLAGS` in ioctl_iflags(2). All others describe how the inode stores its data. */
const settableFlags = 0x83c4ff | 0x10000

const modifiedLine = /mtime: 0x([0-9a-f]{8})(?::([0-9a-f]{8}))? .*\n/y
const attributeLine = / {2}(\S.*?) \((\d+)\)(?: = .*)?\n/y
const deviceLine = /.*Device major\/minor number: (\d+):(\d+) .*\n/y
const targetStart = /Fast link dest: "/y
/** Any line but the first one of the next answer. */
const otherLine = /(?!debugfs: stat <).*\n/y

interface FoundInode extends Omit<Inode, 'attributes'> {
  readonly attributeSizes: ReadonlyMap<string, number>
}

function readInode(answers: Answers, inode: number): FoundInode {
  const first = answers.take(firstLines)
  if (first === undefined) throw unreadableDisk(`debugfs does not say what inode ${inode} is`)
  const [, typeName = '', mode = '', flags = '', uid, gid, size, links] = first
  const type = types[typeName]
  if (type === undefined) throw unreadableDisk(`inode ${inode} is a ${typeName}`)
  const attributeSizes = new Map<string, number>()
  let modifiedAt = 0
  let device: string | undefined
  let target: string | undefined
  for (;;) {
    answers.take(/ +(?=[acm]time: )/y)
    const modified = answers.take(modifiedLine)
    if (modified !== undefined) {
      modifiedAt = readTime(modified[1] ?? '', modified[2] ?? '0')
      continue
    }
    const attribute = answers.take(attributeLine)
    if (attribute !== undefined) {
      const [, name = '', size] = attribute
      // A small file's data inside the inode appears as an attribute.
      if (name !== 'system.data') attributeSizes.set(name, Number(size))
      continue
    }
    const numbers = answers.take(deviceLine)
    if (numbers !== undefined) {
      device = `${Number(numbers[1])}:${Number(numbers[2])}`
      continue
    }
    if (answers.take(targetStart) !== undefined) {
      target = decodeName(Buffer.from(answers.takeBytes(Number(size)), 'latin1'))
      answers.take(/"\n/y)
      continue
    }
    if (answers.take(otherLine) === undefined) break
  }
  return {
    type,
    mode: Number.parseInt(mode, 8),
    // Numbers above 2³¹ are printed as negative ones.
    uid: Number(uid) >>> 0,
    gid: Number(gid) >>> 0,
    sizeBytes: Number(size),
    modifiedAt,
    inode,
    links: Number(links),
    target,
    device,
    attributeSizes,
    flags: Number.parseInt(flags, 16) & settableFlags,
  }
}

/** Two bits of the second word extend times beyond 2038. */
function readTime(seconds: string, extra: string): number {
  const epoch = Number.parseInt(extra, 16) & 3
  return (Number.parseInt(seconds, 16) | 0) + epoch * 2 ** 32
}

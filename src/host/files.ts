/** Files that exist completely or not at all. */

import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import {
  access,
  constants,
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  realpath,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { openToRead } from './regular-file.ts'
import { namesIn } from './unless-missing.ts'
import { createWriteStream, namePath } from './writing.ts'

/** Temporary name for `path` until it is complete: unique for each writer. `isBeingWritten` can tell whose it is. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** A folder that is renamed to `path`, or used up in making it. */
export async function makeTemporaryFolder(path: string): Promise<string> {
  const folder = temporaryName(path)
  await mkdir(folder, { mode: 0o700 })
  return folder
}

const temporaryPattern = /\.(\d+)-[0-9a-f]{8}\.tmp$/

/** Whether a name is one of those above and its process is gone, so that nobody will complete it. */
export function isLeftover(name: string): boolean {
  return temporaryPattern.test(name) && !isBeingWritten(name)
}

/**
 * Writes a file so that a reader, even after a power cut, sees all of it or nothing.
 * @throws PipelineError `not-written` if there is anything but a file or a link, or no folder
 */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  await requireReplaceable(path)
  // Two writers of the same file must not share a temporary file.
  const temporary = temporaryName(path)
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    return namePath(path)(error)
  }
  await flush(dirname(path))
}

/** The same for a file among those of a person, where nothing else clears what a killed run left beside it. */
export async function replaceDurably(path: string, content: string | Uint8Array): Promise<void> {
  await removeLeftovers(path)
  await writeDurably(path, content)
}

/** Removes what killed runs left while they made a file or a folder: in a checkout, it would count as a change. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path)
  const left = (await namesIn(folder)).filter((name) => name.startsWith(`${basename(path)}.`))
  for (const name of left.filter(isLeftover)) await rm(join(folder, name), { recursive: true, force: true })
}

/** A device, a pipe or a socket would be gone: root can rename a file to /dev/null. */
async function requireReplaceable(path: string): Promise<void> {
  const why = await lstat(path).then(
    (found) => whyNotReplaced(path, found),
    () => whyNoFile(dirname(path)),
  )
  if (why === undefined) return
  throw new PipelineError({
    code: 'not-written',
    message: `cannot write ${path}: ${why}`,
    hint: 'nothing was changed. Name another file, in a folder that exists.',
    exitCode: exitCodes.badInput,
  })
}

async function whyNotReplaced(path: string, found: Stats): Promise<string | undefined> {
  if (found.isFile()) return undefined
  if (found.isDirectory()) return 'it is a folder'
  // A link is replaced, but /dev/stdout is one too.
  const target = found.isSymbolicLink() ? await stat(path).catch(() => undefined) : found
  const isOrdinary = target === undefined || target.isFile() || target.isDirectory()
  return isOrdinary ? undefined : 'it is a pipe, a device or a socket'
}

function whyNoFile(folder: string): Promise<string | undefined> {
  return stat(folder).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? `there is no folder ${folder}` : undefined),
  )
}

/** Whether the process that uses this temporary name is still running. */
export function isBeingWritten(name: string): boolean {
  return isRunning(temporaryPattern.exec(name)?.[1])
}

/** Whether there is a process with the pid in a name; false without one. */
export function isRunning(pid: string | undefined): boolean {
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (error) {
    // Another user's process is running too.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Waits until a file or folder is on the disk. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Like a recursive mkdir, which never returns in Node if a filesystem answers ENOENT, as /proc does.
 * @param mode of each folder that it makes @default 0o777, less the umask
 */
export async function makeFolder(path: string, mode?: number): Promise<void> {
  const isThere = async (error: NodeJS.ErrnoException) =>
    error.code === 'EEXIST' && (await stat(path).catch(() => undefined))?.isDirectory() === true
  try {
    await mkdir(path, mode)
  } catch (error) {
    if (await isThere(error as NodeJS.ErrnoException)) return
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await makeFolder(dirname(path), mode)
    await mkdir(path, mode).catch(async (again: NodeJS.ErrnoException) => {
      // Someone else has created it in the meantime.
      if (!(await isThere(again))) throw again
    })
  }
}

/** Whether this process may access a path in these modes. @default whether the path exists */
export async function canAccess(path: string, mode: number = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}

/** Free bytes on the disk of a folder, which need not exist yet. */
export async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch (error) {
    const above = dirname(folder)
    // If it cannot be a folder, the code that writes there reports that.
    const { code } = error as NodeJS.ErrnoException
    if ((code !== 'ENOENT' && code !== 'ELOOP' && code !== 'ENOTDIR') || above === folder) throw error
    return freeBytes(above)
  }
}

/** Errors from filesystems that have no hard links or refuse another one. */
export const withoutLinks: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']

/**
 * Makes `to` a hard link to a file, or a copy where the filesystem refuses one. For files that are replaced, never changed.
 * @throws the abort reason at once, even in the middle of a large file
 */
export async function linkOrCopy(file: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  // A hard link to a symbolic link would be just another symbolic link.
  await link(await realpath(file), to).catch(async (error: NodeJS.ErrnoException) => {
    if (!withoutLinks.includes(error.code ?? '')) throw error
    await copyLarge(file, to, signal)
  })
}

/**
 * Copies a file with its mode, or clones it where the filesystem can.
 * @throws the abort reason at once, which Node's own copy does not
 */
export async function copyLarge(file: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  const from = await openToRead(file)
  try {
    // By its handle: by now, a pipe may have its name.
    const opened = `/proc/self/fd/${from.fd}`
    await copyFile(opened, to, constants.COPYFILE_FICLONE_FORCE).catch(() => copyInParts(from, to, signal))
  } finally {
    await from.close()
  }
}

async function copyInParts(from: FileHandle, to: string, signal: AbortSignal | undefined): Promise<void> {
  const { mode } = await from.stat()
  const reading = from.createReadStream({ highWaterMark: 1024 ** 2, autoClose: false })
  await pipeline(reading, createWriteStream(to, { mode }), { signal }).catch((error: unknown) => {
    signal?.throwIfAborted()
    throw error
  })
}

/** Changes whenever a file is written or replaced, and is cheap to read. Meaningless for a device. */
export async function stampOf(file: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(file)
  return `${ino} ${size} ${mtimeMs}`
}

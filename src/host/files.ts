/** Files that are there as a whole or not at all. */

import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Name of what becomes `path` once it is whole: another writer of the same has another, and `isBeingWritten` knows whose. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** A folder that becomes `path`, or is used up for it. */
export async function makeTemporaryFolder(path: string): Promise<string> {
  const folder = temporaryName(path)
  await mkdir(folder, { mode: 0o700 })
  return folder
}

/**
 * Whether a name is one of those above and the process that made it is gone, so that nothing will become of it. Earlier versions
 * named neither process nor purpose.
 */
export function isLeftover(name: string): boolean {
  if (name.endsWith('.tmp')) return !isBeingWritten(name)
  return /^(unpacking|registry)-\w{6}$/.test(name)
}

/** Writes a file so that a reader, or a reboot, sees all of it or nothing. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  // Two writers of the same file must not share it.
  const temporary = temporaryName(path)
  try {
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await flush(dirname(path))
}

/** Whether the process that writes under such a name is still there. */
export function isBeingWritten(name: string): boolean {
  const pid = /\.(\d+)-[0-9a-f]{8}\.tmp$/.exec(name)?.[1]
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (error) {
    // Somebody else's is there as well.
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

/** Like a recursive mkdir, which in Node never returns where a file system answers ENOENT, as /proc does. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'ENOENT') throw error
    await makeFolder(dirname(path))
    await mkdir(path)
  }
}

/** Free bytes on the disk of a folder, which need not exist yet. */
export async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch (error) {
    const above = dirname(folder)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === folder) throw error
    return freeBytes(above)
  }
}

/** What file systems say that have no hard links, or refuse one more. */
export const withoutLinks: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']

/** Changes whenever a file is written or replaced; costs no reading. Of a device it says nothing. */
export async function stampOf(file: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(file)
  return `${ino} ${size} ${mtimeMs}`
}

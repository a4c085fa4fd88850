/** A lock held by the kernel: it ends with its process, however that ends, and no one can take it over. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { type FileHandle, open, stat, statfs } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { exitCodes, PipelineError } from '../errors.ts'

/** The open file is the lock: it lasts until the file is closed or the process ends. */
export type KernelLock = FileHandle

/**
 * Tries to lock a file, and creates it if necessary.
 * @param waitSeconds how long to wait for its holder; 0 does not wait
 * @returns `held` if another process has it, `unsupported` where the filesystem has no locks
 */
export async function tryKernelLock(
  path: string,
  waitSeconds = 0,
  signal?: AbortSignal,
): Promise<KernelLock | 'held' | 'unsupported'> {
  for (;;) {
    const file = await openLockFile(path)
    try {
      const result = await flock(file.fd, waitSeconds, signal)
      if (result === 'taken' && (await isAt(path, file))) return file
      await file.close()
      // A holder removes the file before it releases the lock, so the file that we have locked may no longer be there.
      if (result !== 'taken') return result
    } catch (error) {
      await file.close()
      throw error
    }
  }
}

/** Whether a path still leads to this open file. */
export async function isAt(path: string, file: FileHandle): Promise<boolean> {
  const [there, here] = await Promise.all([stat(path).catch(() => undefined), file.stat()])
  return there?.ino === here.ino && there.dev === here.dev
}

/**
 * Filesystems that only one kernel writes to, by the magic number of `statfs(2)`. On any other, only this host may know of a
 * lock: NFS with `nolock`, most FUSE filesystems, 9p, virtiofs.
 */
const localFilesystems = new Set([
  0xef53, // ext2, ext3, ext4
  0x5846_5342, // xfs
  0x9123_683e, // btrfs
  0x0102_1994, // tmpfs
  0x794c_7630, // overlayfs
  0x2fc1_2fc1, // zfs
  0xf2f5_2010, // f2fs
  0xca45_1a4e, // bcachefs
])

export async function isLocal(folder: string): Promise<boolean> {
  return localFilesystems.has((await statfs(folder)).type)
}

// --- internal ---

/** Does not follow a link: its target is not ours to write. */
function openLockFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o666)
}

const heldCode = 75
/** `EX_OSERR`: flock(1) exits with it when the system call fails for any reason other than a holder. */
const failedCode = 71

/**
 * Node has no flock(2). The lock belongs to the open file, not to the process that asked for it, so flock(1) locks the file
 * that it inherits from us, and exits: 3 ms, and no process to look after.
 */
async function flock(
  fd: number,
  waitSeconds: number,
  signal: AbortSignal | undefined,
): Promise<'taken' | 'held' | 'unsupported'> {
  const wait = waitSeconds === 0 ? ['--nonblock'] : ['--timeout', `${waitSeconds}`]
  const child = spawn('flock', [...wait, '--conflict-exit-code', `${heldCode}`, '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    // Keeps it out of reach of a terminal's Ctrl-C, which we handle.
    detached: true,
    ...(signal === undefined ? {} : { signal }),
  })
  const said = text(child.stderr as NodeJS.ReadableStream)
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    if (code === 0) return 'taken'
    if (code === heldCode) return 'held'
    if (code === failedCode) return 'unsupported'
    throw new Error(`flock ended with ${code}: ${(await said).trim()}`)
  } catch (cause) {
    signal?.throwIfAborted()
    throw (cause as NodeJS.ErrnoException).code === 'ENOENT' ? noProgram(cause) : cause
  }
}

function noProgram(cause: unknown): PipelineError {
  return new PipelineError({
    code: 'tools',
    message: 'this host lacks flock, which keeps two runs from using one folder (package util-linux)',
    hint: 'install it with: npm run setup -- --yes',
    exitCode: exitCodes.hostNotFit,
    details: { tools: ['flock'] },
    cause,
  })
}

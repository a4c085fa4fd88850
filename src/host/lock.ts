/** Allows one build, or one export, at a time in a folder. */

import { type FileHandle, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { isNoSpace, reasonOf } from './failures.ts'
import { makeFolder } from './files.ts'
import { isAt, isLocal, type KernelLock, tryKernelLock } from './kernel-lock.ts'
import { type Lease, type LeaseTiming, leaseTiming, takeLease } from './lease.ts'
import { describeHolder, describeSelf, type Holder, hasEnded, readHolder } from './lock-holder.ts'

export interface Lock {
  /** Aborted with `lock-lost` once another process is found to have the lock. */
  readonly lost: AbortSignal
  /**
   * Called before writing anything that others rely on: a process may have been stopped for any length of time.
   * @throws PipelineError `lock-lost`
   */
  readonly confirm: () => Promise<void>
  readonly release: () => Promise<void>
}

/** Work that only one process at a time may do in a folder. */
export type LockedWork = keyof typeof lockFiles

/** The export folder belongs to the user, so the lock file there is hidden and named after this program. */
const lockFiles = { build: 'lock', export: '.systemvm-image.lock' } as const

/** How to wait for a lock that another process holds. */
export interface Waiting {
  /** Called with each holder that we wait for; undefined if it has not written its name yet. */
  readonly onWait: (holder: Holder | undefined) => void
  readonly signal: AbortSignal
}

/** How often to look at the holder that we wait for. The kernel hands over its locks at once. */
const pollSeconds = 1

/**
 * Takes the lock of a folder: the kernel's, plus a lease if other hosts may not see the kernel's, or if there is none.
 * @param waiting without it, a held lock is refused
 * @throws PipelineError `locked` with the holder's pid
 */
export async function takeLock(
  folder: string,
  runId: string,
  waiting?: Waiting,
  work: LockedWork = 'build',
  timing: LeaseTiming = leaseTiming,
): Promise<Lock> {
  const path = join(folder, lockFiles[work])
  let announced: string | undefined
  try {
    await makeFolder(folder)
    for (;;) {
      const taken = await tryTake(path, runId, announced === undefined ? undefined : waiting?.signal, timing)
      if ('lock' in taken) return taken.lock
      if (waiting === undefined) throw locked(work, folder, taken.other)
      const name = describeHolder(taken.other)
      if (name !== announced) waiting.onWait(taken.other)
      announced = name
      waiting.signal.throwIfAborted()
      if (taken.by === 'lease') await sleep(pollSeconds * 1000, undefined, { signal: waiting.signal })
    }
  } catch (cause) {
    throw isSystemError(cause) ? cannotLock(path, cause) : cause
  }
}

// --- internal ---

type Attempt =
  | { readonly lock: Lock }
  | { readonly other: Holder | undefined; readonly by: 'kernel' | 'lease' }

/** @param waits absent: does not wait for the kernel's lock */
async function tryTake(
  path: string,
  runId: string,
  waits: AbortSignal | undefined,
  timing: LeaseTiming,
): Promise<Attempt> {
  const kernel = await tryKernelLock(path, waits === undefined ? 0 : pollSeconds, waits)
  if (kernel === 'held') return { other: await nameOf(path), by: 'kernel' }
  const file = kernel === 'unsupported' ? undefined : kernel
  try {
    const own = await describeSelf(runId)
    if (file !== undefined && (await isLocal(join(path, '..')))) {
      await writeHolder(file, own)
      return { lock: hold(path, timing, { file }) }
    }
    const lease = await takeLease(path, own, timing)
    if ('other' in lease) {
      await file?.close()
      return { other: lease.other, by: 'lease' }
    }
    if (file !== undefined) await writeHolder(file, own)
    return { lock: hold(path, timing, { file, lease }) }
  } catch (error) {
    await file?.close()
    throw error
  }
}

/** On a full disk, the lock has no name: it only serves messages, and `clean` has to free space there. */
async function writeHolder(file: FileHandle, holder: Holder): Promise<void> {
  await file.truncate()
  await file.write(JSON.stringify(holder), 0).catch((error: unknown) => {
    if (!isNoSpace(error)) throw error
  })
}

/** A holder writes its name a moment after it gets the lock; until then, the name is missing or that of a killed holder. */
async function nameOf(path: string): Promise<Holder | undefined> {
  for (let tries = 0; tries < 20; tries += 1) {
    const holder = await readHolder(path)
    if (holder !== undefined && !(await hasEnded(holder))) return holder
    await sleep(20)
  }
  return undefined
}

interface Held {
  readonly file?: KernelLock | undefined
  readonly lease?: Lease | undefined
}

function hold(path: string, { beatMs }: LeaseTiming, { file, lease }: Held): Lock {
  const losing = new AbortController()
  const confirm = async () => {
    losing.signal.throwIfAborted()
    const isOurs = lease === undefined ? file !== undefined && (await isAt(path, file)) : await lease.isOurs()
    if (!isOurs) losing.abort(lockLost(path, await readHolder(path)))
    losing.signal.throwIfAborted()
  }
  const beat = async () => {
    await confirm()
    await lease?.renew()
  }
  const beats = setInterval(() => void beat().catch(() => undefined), beatMs).unref()
  return {
    lost: losing.signal,
    confirm,
    release: async () => {
      clearInterval(beats)
      await lease?.release()
      // Removed while locked. With a lease, another host may have locked the same file.
      if (lease === undefined && file !== undefined && (await isAt(path, file)))
        await rm(path, { force: true })
      await file?.close()
    },
  }
}

function isSystemError(cause: unknown): cause is NodeJS.ErrnoException {
  return cause instanceof Error && 'syscall' in cause && 'code' in cause
}

function cannotLock(path: string, cause: NodeJS.ErrnoException): PipelineError {
  const isFull = cause.code === 'ENOSPC'
  return new PipelineError({
    code: isFull ? 'no-space' : 'out-read-only',
    message: isFull
      ? `the disk that holds ${path} is full: not even the lock can be written`
      : `cannot write the lock ${path}: ${reasonOf(cause)}`,
    hint: isFull
      ? 'free some space there and run the command again; what was finished before is kept.'
      : 'make its folder writable, or give another one with --out.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

function lockLost(path: string, holder: Holder | undefined): PipelineError {
  const now = holder === undefined ? 'it was removed' : `it names ${describeHolder(holder)}`
  return new PipelineError({
    code: 'lock-lost',
    message: `the lock ${path} is no longer this run's: ${now}`,
    hint: 'this run stopped writing. Run it again, and do not remove the lock or its folder during a run.',
    exitCode: exitCodes.hostNotFit,
  })
}

function locked(work: LockedWork, folder: string, holder: Holder | undefined): PipelineError {
  return new PipelineError({
    code: 'locked',
    message: `another ${work} is using ${folder}: ${describeHolder(holder)}`,
    hint: 'wait until it ends, which --wait does, or give another folder with --out.',
    exitCode: exitCodes.hostNotFit,
    details: { pid: holder?.pid, runId: holder?.runId, since: holder?.since },
  })
}

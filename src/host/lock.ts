/** Allows one build, or one export, at a time in a folder: a file that names the process holding the lock. */

import { randomBytes } from 'node:crypto'
import { link, readdir, readFile, readlink, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder, withoutLinks } from './files.ts'
import { startTime } from './process.ts'

/** Who holds a lock. */
export interface Holder {
  readonly pid: number
  /** Start time of the process, since its pid may have been reused. */
  readonly startTime: string | undefined
  /** The host's boot that `startTime` counts from. */
  readonly bootId?: string | undefined
  /** The kernel's name of the pid namespace, different in each container. */
  readonly pidSpace?: string | undefined
  readonly host?: string | undefined
  readonly runId: string
  /** When it took the lock, in ISO 8601. Only for people: clocks can be set. */
  readonly since?: string | undefined
}

export interface Lock {
  readonly release: () => Promise<void>
}

/** What only one process at a time may do in a folder. */
export type LockedWork = keyof typeof lockFiles

/** An export's folder belongs to the user, so the file there is hidden and named after this program. */
const lockFiles = { build: 'lock', export: '.systemvm-image.lock' } as const

/** How to wait for a lock that another process holds. */
export interface Waiting {
  /** Called with each holder that is waited for. */
  readonly onWait: (holder: Holder) => void
  readonly signal: AbortSignal
}

/** A poll costs a microsecond, and waiting processes should continue at once. */
const pollMs = 200

/**
 * A holder whose process cannot be checked (in another container, on another host that shares the folder, from another
 * boot) shows that it is alive by touching its lock every beat. It is dead if by the clocks it has not done so for long, and
 * then does not do it for three beats. Clocks alone are not enough: they may differ, and a host may have slept.
 */
const beatMs = 2_000
const silentMs = 30_000

/**
 * Takes the lock of a folder, taking over from a dead process if necessary.
 * @param waiting without it a held lock is refused
 * @throws PipelineError `locked` with the holder's pid
 */
export async function takeLock(
  folder: string,
  runId: string,
  waiting?: Waiting,
  work: LockedWork = 'build',
): Promise<Lock> {
  const path = join(folder, lockFiles[work])
  // One process may try to take it twice at the same time, and must be refused.
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  const holder = await describeSelf(runId)
  try {
    while (!(await tryLink(own, path, { ...holder, since: new Date().toISOString() }))) {
      const other = await readHolder(path)
      if (other === undefined && (await ageMs(path)) < pollMs) await sleep(pollMs)
      else if (other === undefined || !(await isAlive(other, path)))
        await removeStale(path, other, `${own}.stale`)
      else if (waiting === undefined) throw locked(work, folder, other)
      else await waitFor(other, path, waiting)
    }
  } finally {
    await rm(own, { force: true })
  }
  await removeAsides(path)
  const beat = setInterval(() => void touch(path, holder), beatMs).unref()
  return {
    release: () => {
      clearInterval(beat)
      return releaseOwn(path, holder)
    },
  }
}

/** Waits until a holder has released the lock, or is dead. */
async function waitFor(other: Holder, path: string, { onWait, signal }: Waiting): Promise<void> {
  onWait(other)
  do await sleep(pollMs, undefined, { signal })
  while (isSame(await readHolder(path), other) && (await isAlive(other, path)))
}

async function describeSelf(runId: string): Promise<Holder> {
  const { pid } = process
  const [started, bootId, pidSpace] = await Promise.all([startTime(pid), readBootId(), readPidSpace()])
  return { pid, startTime: started, bootId, pidSpace, host: hostname(), runId }
}

/** If the lock was removed or taken over, there is nothing left to touch. */
async function touch(path: string, own: Holder): Promise<void> {
  const now = new Date()
  if (isSame(await readHolder(path), own)) await utimes(path, now, now).catch(() => undefined)
}

/** A link appears with its content, and only one process can make it. Without links, the content comes a moment later. */
async function tryLink(own: string, path: string, holder: Holder): Promise<boolean> {
  try {
    await makeFolder(join(path, '..'))
    const text = JSON.stringify(holder)
    await writeFile(own, text)
    await link(own, path).catch((cause: NodeJS.ErrnoException) => {
      if (!withoutLinks.includes(cause.code ?? '')) throw cause
      return writeFile(path, text, { flag: 'wx' })
    })
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cannotLock(path, cause)
  }
}

/**
 * Removes the lock of a dead holder. Another process may do so and take the lock between our check and our removal, so
 * the removed file is checked again, and put back if it is a different lock.
 */
async function removeStale(path: string, stale: Holder | undefined, aside: string): Promise<void> {
  try {
    await rename(path, aside)
  } catch (cause) {
    // Another process was faster.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw stuck(path, cause)
  }
  try {
    const taken = await readHolder(aside)
    if (JSON.stringify(taken) !== JSON.stringify(stale)) await link(aside, path).catch(() => undefined)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/** Removes files beside the lock left by processes that were killed while taking it. */
async function removeAsides(path: string): Promise<void> {
  const folder = dirname(path)
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${basename(path)}.`)) continue
    const pid = /^\.(\d+)\./.exec(name.slice(basename(path).length))?.[1]
    if (pid === undefined || (await startTime(Number(pid))) !== undefined) continue
    const taker = await readHolder(join(folder, name))
    if (taker !== undefined && !(await isHere(taker))) continue
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

async function releaseOwn(path: string, own: Holder): Promise<void> {
  if (isSame(await readHolder(path), own)) await rm(path, { force: true })
}

function isSame(one: Holder | undefined, other: Holder | undefined): boolean {
  return one?.pid === other?.pid && one?.startTime === other?.startTime && one?.runId === other?.runId
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const holder = JSON.parse(await readFile(path, 'utf8')) as Holder | null
    return typeof holder?.pid === 'number' ? holder : undefined
  } catch {
    return undefined
  }
}

async function isAlive(holder: Holder, path: string): Promise<boolean> {
  if (!(await isHere(holder))) return isBeating(path)
  const found = await startTime(holder.pid)
  return found !== undefined && found === holder.startTime
}

/** Whether the holder's pid can be checked from here. */
async function isHere({ bootId, pidSpace }: Holder): Promise<boolean> {
  const isSameBoot = bootId === undefined || bootId === (await readBootId())
  return isSameBoot && (pidSpace === undefined || pidSpace === (await readPidSpace()))
}

async function isBeating(path: string): Promise<boolean> {
  if ((await ageMs(path)) < silentMs) return true
  const before = await touchedMs(path)
  await sleep(3 * beatMs)
  const now = await touchedMs(path)
  return now !== undefined && now !== before
}

/** Time between a lock's last touch and now by our clock, in either direction; infinite if it is gone. */
async function ageMs(path: string): Promise<number> {
  const touched = await touchedMs(path)
  return touched === undefined ? Number.POSITIVE_INFINITY : Math.abs(Date.now() - touched)
}

async function touchedMs(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs
}

async function readPidSpace(): Promise<string | undefined> {
  return readlink('/proc/self/ns/pid').catch(() => undefined)
}

async function readBootId(): Promise<string | undefined> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => undefined)
  return text?.trim()
}

/** The holder of a lock, for people: `process 12, run x, since 2026-01-02T03:04:05Z`. */
export function describeHolder({ pid, host, runId, since }: Holder): string {
  const time = since === undefined ? '' : `, since ${since.replace(/\.\d+/, '')}`
  const place = host === undefined || host === hostname() ? '' : ` on ${host}`
  return `process ${pid}${place}, run ${runId}${time}`
}

function cannotLock(path: string, cause: unknown): PipelineError {
  const { code } = cause as NodeJS.ErrnoException
  const isFull = code === 'ENOSPC'
  return new PipelineError({
    code: isFull ? 'no-space' : 'out-read-only',
    message: isFull
      ? `the disk that holds ${path} is full: not even the lock can be written`
      : `cannot write the lock ${path}: ${code}`,
    hint: isFull
      ? 'make room and run the command again; what was finished before is kept.'
      : 'make its folder writable for you, or give another one with --out.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

function stuck(path: string, cause: unknown): PipelineError {
  return new PipelineError({
    code: 'out-read-only',
    message: `cannot take over the lock ${path} of a build that is gone: ${(cause as NodeJS.ErrnoException).code}`,
    hint: 'make the folder writable for you, or remove that file.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

function locked(work: LockedWork, folder: string, holder: Holder): PipelineError {
  return new PipelineError({
    code: 'locked',
    message: `another ${work} works in ${folder}: ${describeHolder(holder)}`,
    hint: 'wait until it has ended, which --wait does, or give this one another folder with --out.',
    exitCode: exitCodes.hostNotFit,
    details: { pid: holder.pid, runId: holder.runId, since: holder.since },
  })
}

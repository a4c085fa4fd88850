/** One build at a time in one `out/`: a file that names the process which holds it. */

import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder } from './files.ts'
import { startTime } from './process.ts'

interface Holder {
  readonly pid: number
  /** Start time of the process, since a pid alone may name another one by now. */
  readonly startTime: string | undefined
  readonly runId: string
}

export interface Lock {
  readonly release: () => Promise<void>
  /** Run that held the lock and died, if there was one: what it left is the new holder's to clear away. */
  readonly abandonedRun: string | undefined
}

/**
 * Takes the lock of a folder.
 * @throws PipelineError `locked` with the holder's pid
 */
export async function takeLock(folder: string, runId: string): Promise<Lock> {
  await makeFolder(folder)
  const path = join(folder, 'lock')
  const own = `${path}.${process.pid}`
  const holder: Holder = { pid: process.pid, startTime: await startTime(process.pid), runId }
  await writeFile(own, JSON.stringify(holder))
  let abandonedRun: string | undefined
  try {
    for (;;) {
      try {
        // A link appears with its content, and only one process can make it.
        await link(own, path)
        return { abandonedRun, release: () => releaseOwn(path, holder) }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const other = await readHolder(path)
      if (other !== undefined && (await isAlive(other))) throw locked(folder, other)
      if (await removeStale(path, other, `${own}.stale`)) abandonedRun = other?.runId ?? abandonedRun
    }
  } finally {
    await rm(own, { force: true })
  }
}

/**
 * Removes the lock of a holder that is dead. Another process may do the same and take the lock between our look and our
 * hand, so what is taken away is looked at again, and put back if it is not what was meant.
 */
async function removeStale(path: string, stale: Holder | undefined, aside: string): Promise<boolean> {
  try {
    await rename(path, aside)
  } catch (cause) {
    // Somebody else was faster.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw stuck(path, cause)
  }
  try {
    const taken = await readHolder(aside)
    const isMeant = JSON.stringify(taken) === JSON.stringify(stale)
    if (!isMeant) await link(aside, path).catch(() => undefined)
    return isMeant
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

async function releaseOwn(path: string, own: Holder): Promise<void> {
  const holder = await readHolder(path)
  if (holder?.pid === own.pid && holder.runId === own.runId) await rm(path, { force: true })
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const holder = JSON.parse(await readFile(path, 'utf8')) as Holder | null
    return typeof holder?.pid === 'number' ? holder : undefined
  } catch {
    return undefined
  }
}

async function isAlive({ pid, startTime: started }: Holder): Promise<boolean> {
  const found = await startTime(pid)
  return found !== undefined && found === started
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

function locked(folder: string, { pid, runId }: Holder): PipelineError {
  return new PipelineError({
    code: 'locked',
    message: `another build works in ${folder}: process ${pid}, run ${runId}`,
    hint: 'wait until it has ended, or give this one another folder with --out.',
    exitCode: exitCodes.hostNotFit,
    details: { pid, runId },
  })
}

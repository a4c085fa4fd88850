/** One build at a time in one `out/`: a file that names the process which holds it. */

import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
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
  await mkdir(folder, { recursive: true })
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
        return { abandonedRun, release: () => rm(path, { force: true }) }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const other = await readHolder(path)
      if (other !== undefined && (await isAlive(other))) throw locked(folder, other)
      abandonedRun = other?.runId
      await rm(path, { force: true })
    }
  } finally {
    await rm(own, { force: true })
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

async function isAlive({ pid, startTime: started }: Holder): Promise<boolean> {
  const found = await startTime(pid)
  return found !== undefined && found === started
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

/** Who holds a lock, as its file says, for the messages of those who wait. */

import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { z } from 'zod'
import { startTime } from './process.ts'
import { readRegularText } from './regular-file.ts'

const holderSchema = z.object({
  pid: z.int(),
  /** Start time of the process, since its pid may have been reused. */
  startTime: z.string().optional(),
  /** The boot of the host that `startTime` counts from. */
  bootId: z.string().optional(),
  /** The kernel's name for the pid namespace, different in each container. */
  pidSpace: z.string().optional(),
  host: z.string().optional(),
  runId: z.string(),
  /** When it took the lock, in ISO 8601. Only for people: clocks can be set. */
  since: z.string().optional(),
})

export type Holder = Readonly<z.output<typeof holderSchema>>

export async function describeSelf(runId: string): Promise<Holder> {
  const { pid } = process
  const [started, bootId, pidSpace] = await Promise.all([startTime(pid), readBootId(), readPidSpace()])
  const since = new Date().toISOString()
  return { pid, startTime: started, bootId, pidSpace, host: hostname(), runId, since }
}

/** Undefined if the file is gone or not yet written. */
export async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readRegularText(path)))
  } catch {
    return undefined
  }
}

/** Whether the holder's process is known to have ended; one that is not visible from here may be alive. */
export async function hasEnded(holder: Holder): Promise<boolean> {
  const { bootId, pidSpace } = holder
  const isHere = bootId === (await readBootId()) && pidSpace === (await readPidSpace())
  return isHere && bootId !== undefined && (await startTime(holder.pid)) !== holder.startTime
}

/** The holder of a lock, for people: `process 12, run x, since 2026-01-02T03:04:05Z`. */
export function describeHolder(holder: Holder | undefined): string {
  if (holder === undefined) return 'a process that has not given its name yet'
  const { pid, host, runId, since } = holder
  const time = since === undefined ? '' : `, since ${since.replace(/\.\d+/, '')}`
  const place = host === undefined || host === hostname() ? '' : ` on ${host}`
  return `process ${pid}${place}, run ${runId}${time}`
}

// --- internal ---

async function readPidSpace(): Promise<string | undefined> {
  return readlink('/proc/self/ns/pid').catch(() => undefined)
}

async function readBootId(): Promise<string | undefined> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => undefined)
  return text?.trim()
}

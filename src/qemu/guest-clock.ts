/** Time limits that a busy host does not use up: a guest that waits for a processor is slow, not stuck. */

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Qmp } from './qmp.ts'

export interface GuestClock {
  /** Seconds since the clock started, minus those in which the guest, or QEMU on its behalf, waited for a host processor. */
  readonly seconds: () => number
  /** Share of the host's time that the guest had to wait, from 0 to 0.9. */
  readonly waitingShare: () => number
  /** Measures the processors of the guest behind this connection. Until then, all time counts. */
  readonly follow: (qmp: Qmp) => Promise<void>
  /** Resolves after this many seconds of this clock. @throws the reason of `signal` when it is aborted */
  readonly sleep: (seconds: number, signal?: AbortSignal) => Promise<void>
}

/** Limits end however busy the host is: at most this many seconds of its time count as one. */
export const longestStretch = 10
const shortestSleepMs = 20

/** What a clock asks its host. */
export interface ClockHost {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number
  /** Milliseconds for which a thread was ready to run but did not, since it started; undefined if unknown. */
  readonly waitedMs: (thread: number) => number | undefined
  /** The process that a thread belongs to, which is also the id of its first thread. */
  readonly processOf: (thread: number) => number | undefined
}

export function startGuestClock(host: ClockHost = linux): GuestClock {
  const startedMs = host.now()
  let countedMs = 0
  let lastMs = startedMs
  let processors: readonly Thread[] = []
  // QEMU's first thread emulates the disks and all other devices. The processors sleep until it has responded.
  let devices: Thread | undefined

  const seconds = (): number => {
    const nowMs = host.now()
    const passedMs = nowMs - lastMs
    lastMs = nowMs
    const ofDevices = devices === undefined ? 0 : newlyWaitedMs(devices, host)
    // The processor that waited longest holds up the others.
    const ofProcessors = Math.max(0, ...processors.map((thread) => newlyWaitedMs(thread, host)))
    countedMs += Math.max(passedMs / longestStretch, passedMs - ofDevices - ofProcessors)
    return countedMs / 1000
  }

  return {
    seconds,
    waitingShare: () => {
      const counted = seconds() * 1000
      const passed = lastMs - startedMs
      return passed === 0 ? 0 : 1 - counted / passed
    },
    follow: async (qmp) => {
      const found = (await qmp.execute('query-cpus-fast')) as readonly { readonly 'thread-id': number }[]
      seconds()
      const follow = (id: number): Thread => ({ id, waitedMs: host.waitedMs(id) ?? 0 })
      processors = found.map(({ 'thread-id': id }) => follow(id))
      const process = processors[0] && host.processOf(processors[0].id)
      devices = process === undefined ? undefined : follow(process)
    },
    sleep: async (wanted, signal) => {
      const end = seconds() + wanted
      for (let left = wanted; left > 0; left = end - seconds())
        await delay(Math.max(left * 1000, shortestSleepMs), undefined, { ...(signal && { signal }) })
    },
  }
}

interface Thread {
  readonly id: number
  /** Total waiting time at the last query. */
  waitedMs: number
}

/** How long a thread has waited since the last query. */
function newlyWaitedMs(thread: Thread, { waitedMs }: ClockHost): number {
  const before = thread.waitedMs
  thread.waitedMs = waitedMs(thread.id) ?? before
  return thread.waitedMs - before
}

const linux: ClockHost = {
  now: () => performance.now(),
  // Nanoseconds spent running, nanoseconds spent waiting, number of times it ran.
  waitedMs: (thread) => {
    const [, waited] = readProc(thread, 'schedstat')?.split(' ') ?? []
    return waited === undefined ? undefined : Number(waited) / 1e6
  },
  processOf: (thread) => {
    const [, process] = /^Tgid:\s*(\d+)$/m.exec(readProc(thread, 'status') ?? '') ?? []
    return process === undefined ? undefined : Number(process)
  },
}

/** Undefined if the thread has ended, or if this kernel does not measure it. */
function readProc(thread: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${thread}/${name}`, 'utf8')
  } catch {
    return undefined
  }
}

/** For the message about a missed limit: says that the host was busy, if it was. */
export function describeWaiting(clock: Pick<GuestClock, 'waitingShare'>): string {
  const share = clock.waitingShare()
  return share < 0.2
    ? ''
    : `; the host was busy: the guest waited for a processor ${Math.round(share * 100)} % of the time`
}

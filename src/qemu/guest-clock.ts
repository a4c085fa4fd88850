/** Time limits that a busy host does not use up: a guest that waits for a processor is slow, not stuck. */

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Qmp } from './qmp.ts'

export interface GuestClock {
  /** Seconds since the clock started, less those in which the guest waited for a processor of the host. */
  readonly seconds: () => number
  /** Share of the host's time that the guest had to wait, from 0 to 0.9. */
  readonly waitingShare: () => number
  /** Measures the processors of the guest behind this connection. Until then, all time counts. */
  readonly follow: (qmp: Qmp) => Promise<void>
  /** Resolves after so many seconds of this clock. @throws the reason of `signal` when it is aborted */
  readonly sleep: (seconds: number, signal?: AbortSignal) => Promise<void>
}

/** However busy the host is, limits end: at most so many seconds of its time count as one. */
export const longestStretch = 10
const shortestSleepMs = 20

/**
 * @param now milliseconds
 * @param waitedMs milliseconds for which a thread of the host was ready to run but did not, since it started
 */
export function startGuestClock(now = () => performance.now(), waitedMs = readWaitedMs): GuestClock {
  const startedMs = now()
  let countedMs = 0
  let lastMs = startedMs
  let threads: readonly { readonly id: number; waitedMs: number }[] = []

  const seconds = (): number => {
    const nowMs = now()
    const waits = threads.map((thread) => {
      const before = thread.waitedMs
      thread.waitedMs = waitedMs(thread.id) ?? before
      return thread.waitedMs - before
    })
    const passedMs = nowMs - lastMs
    lastMs = nowMs
    // The processor that waited longest holds up the others.
    countedMs += Math.max(passedMs / longestStretch, passedMs - Math.max(0, ...waits))
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
      const processors = (await qmp.execute('query-cpus-fast')) as readonly { readonly 'thread-id': number }[]
      seconds()
      threads = processors.map(({ 'thread-id': id }) => ({ id, waitedMs: waitedMs(id) ?? 0 }))
    },
    sleep: async (wanted, signal) => {
      const end = seconds() + wanted
      for (let left = wanted; left > 0; left = end - seconds())
        await delay(Math.max(left * 1000, shortestSleepMs), undefined, { ...(signal && { signal }) })
    },
  }
}

/** From Linux' `/proc/<thread>/schedstat`: nanoseconds run, nanoseconds waited, times run. */
function readWaitedMs(thread: number): number | undefined {
  try {
    const [, waited] = readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ')
    return waited === undefined ? undefined : Number(waited) / 1e6
  } catch {
    // The thread has ended, or this kernel does not measure.
    return undefined
  }
}

/** For the message of a missed limit: says that the host was busy, if it was. */
export function describeWaiting(clock: Pick<GuestClock, 'waitingShare'>): string {
  const share = clock.waitingShare()
  return share < 0.2
    ? ''
    : `; the host was busy: the guest waited for a processor ${Math.round(share * 100)} % of the time`
}

/** Timers by name. */

import type { GuestClock } from '../qemu/guest-clock.ts'

export interface Timers {
  readonly start: (id: string, seconds: number) => void
  readonly clear: (id: string) => void
  readonly clearAll: () => void
}

/** @param clock measures the seconds */
export function createTimers(onFired: (id: string) => void, clock: Pick<GuestClock, 'sleep'>): Timers {
  const running = new Map<string, AbortController>()
  const clear = (id: string): void => {
    running.get(id)?.abort()
    running.delete(id)
  }
  return {
    start: (id, seconds) => {
      clear(id)
      const timer = new AbortController()
      running.set(id, timer)
      const fire = () => {
        running.delete(id)
        onFired(id)
      }
      // Rejected only by `clear`.
      clock.sleep(seconds, timer.signal).then(fire, () => undefined)
    },
    clear,
    clearAll: () => {
      for (const id of [...running.keys()]) clear(id)
    },
  }
}

/** The parts of a run that are not stages, each timed: the boot, the shutdown. */

import { secondsSince } from '../host/elapsed.ts'
import type { Emit } from '../report/events.ts'

export interface Parts {
  readonly start: (name: string) => void
  /** Seconds since the part started. */
  readonly seconds: (name: string) => number
  readonly finish: (name: string, text?: string) => void
}

export function createParts(emit: Emit, estimate: (name: string) => number | undefined): Parts {
  const startedMs = new Map<string, number>()
  const seconds = (name: string) => secondsSince(startedMs.get(name) ?? 0)
  return {
    start: (name) => {
      startedMs.set(name, performance.now())
      emit({ kind: 'part-started', name, estimateSeconds: estimate(name) })
    },
    seconds,
    finish: (name, text) => {
      emit({
        kind: 'part-finished',
        name,
        seconds: seconds(name),
        ...(text === undefined ? {} : { text }),
      })
    },
  }
}

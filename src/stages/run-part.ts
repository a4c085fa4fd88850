/** A part of a run that is no stage, with its own time: the boot, the shutdown. */

import type { Emit } from '../report/events.ts'

export interface RunPart<Name extends string = string> {
  readonly name: Name
  /** Since it began. */
  readonly seconds: () => number
  readonly finish: (text?: string) => void
}

/** Announces a part; only the first `finish` counts. */
export function startPart<Name extends string>(
  { emit, estimate }: { readonly emit: Emit; readonly estimate: (name: string) => number | undefined },
  name: Name,
): RunPart<Name> {
  const started = performance.now()
  let isFinished = false
  const sinceStart = () => Math.round(performance.now() - started) / 1000
  emit({ kind: 'part-started', name, estimateSeconds: estimate(name) })
  return {
    name,
    seconds: sinceStart,
    finish: (text) => {
      if (isFinished) return
      isFinished = true
      emit({ kind: 'part-finished', name, seconds: sinceStart(), ...(text === undefined ? {} : { text }) })
    },
  }
}

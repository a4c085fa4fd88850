/** The phases of an installation as parts of a run, each with its time and its estimate. */

import { secondsSince } from '../../host/elapsed.ts'
import type { BuildEvent } from '../../report/events.ts'
import { emulatedSeconds, type InstallerPhase, nameOfPhase } from './phases.ts'

/** What the parts need from a run. */
export interface Reporting {
  readonly emit: (event: BuildEvent) => void
  /** Seconds that a part took before, by its name. */
  readonly estimate: (part: string) => number | undefined
  /** Whether the guest is emulated, once known. */
  readonly isEmulated: () => boolean
}

export interface PhaseParts {
  /** Begins a phase, and ends the one before it. */
  readonly enter: (phase: InstallerPhase) => void
  readonly progress: (text: string) => void
  /** Ends the last phase. */
  readonly finish: () => void
}

/** Outside any phase, progress is reported for the base as a whole. */
export function startPhases({ emit, estimate, isEmulated }: Reporting): PhaseParts {
  let current: { readonly name: string; readonly startedMs: number } | undefined
  const finish = () => {
    if (current === undefined) return
    const seconds = secondsSince(current.startedMs)
    emit({ kind: 'part-finished', name: current.name, seconds })
    current = undefined
  }
  return {
    enter: (phase) => {
      finish()
      const name = nameOfPhase(phase)
      const expected = isEmulated() ? emulatedSeconds[phase] : undefined
      emit({ kind: 'part-started', name, estimateSeconds: estimate(name) ?? expected })
      current = { name, startedMs: performance.now() }
    },
    progress: (text) => emit({ kind: 'part-progress', name: current?.name ?? 'base', text }),
    finish,
  }
}

/** One change to a file as a person sees it: what it triggers, how that ends, and what differs afterward. */

import type { DiffReport } from '../../diff/report.ts'
import { ownChanges, type Plan } from '../../plan/plan.ts'
import { cleanText } from '../../qemu/console.ts'
import type { BuildEvent, Emit } from '../../report/events.ts'
import { formatSeconds } from '../../report/format.ts'
import type { Report } from '../../report/report.ts'
import { layersOf } from '../../store/chain.ts'
import type { Terminal } from '../terminal.ts'
import { renderDiff } from './diff.ts'
import { renderFailure } from './failure.ts'

export interface ChangeView {
  /**
   * Omits the events that are the same in every run, and shows the whole output of one stage.
   * @param stopping aborted when the next change cuts off the run
   */
  readonly filter: (emit: Emit, shown: string, stopping: AbortSignal) => Emit
  /** Prints how the run ended, and how long after the change. */
  readonly conclude: (report: Report) => void
  readonly showDifference: (report: DiffReport) => void
}

export interface Change {
  readonly plan: Plan
  /** The plan of the previous change; undefined if nothing has changed yet. */
  readonly planBefore: Plan | undefined
  /** The stage that the user is working on. */
  readonly stage: string
  /** When the change was made, by `performance.now()`; undefined if nothing has changed yet. */
  readonly changedMs: number | undefined
}

/** Shows what a change triggers. */
export function showChange(change: Change, terminal: Terminal): ChangeView {
  const { plan, planBefore, stage, changedMs } = change
  const { colors, error, out } = terminal
  const startedMs = changedMs ?? performance.now()
  const what = planBefore === undefined ? 'before any change' : describeChange(planBefore, plan)
  error(`\n${colors.bold(stage)} of ${plan.image.variant}  ${colors.dim(what)}\n`)
  return {
    filter: (emit, shown, stopping) => {
      const lines: string[] = []
      return (event) => {
        const { kind } = event
        if (kind === 'stage-output' && event.name === shown) lines.push(cleanText(event.text))
        if (!isTheSameEachTime(event) && !(stopping.aborted && isOutcome(event))) emit(event)
        if (kind === 'stage-finished' && event.stage.name === shown && lines.length > 0)
          out(`${lines.join('\n')}\n`)
      }
    },
    conclude: ({ run }) => {
      const time = formatSeconds((performance.now() - startedMs) / 1000)
      const when = changedMs === undefined ? `in ${time}` : `${time} after it was saved`
      if (run.failure === undefined) error(`${colors.green(`✔ ${stage} is done`)} ${when}\n`)
      else error(`${renderFailure(run.failure, colors)}  ${when}\n`)
    },
    showDifference: (report) => error(`\n${renderDiff(report, { colors, isFull: false })}`),
  }
}

/** What differs between the parts of the layers. */
function describeChange(planBefore: Plan, plan: Plan): string {
  const before = new Map(layersOf(planBefore).map(({ name, parts }) => [name, parts]))
  const now = layersOf(plan).map(({ name, parts }) => {
    const known = before.get(name)
    before.delete(name)
    if (known === undefined) return `${name} is new`
    const own = ownChanges(known, parts)
    return own.length === 0 ? undefined : `${name}: ${own.join(', ')} changed`
  })
  const gone = [...before.keys()].map((name) => `${name} was removed`)
  return [...now.filter((text) => text !== undefined), ...gone].join('; ') || 'again'
}

function isTheSameEachTime(event: BuildEvent): boolean {
  if (event.kind === 'run-finished') return true
  return event.kind === 'stage-finished' && ['cached', 'skipped'].includes(event.stage.status)
}

/** A run that is cut off has not failed, so its outcome is not shown. */
function isOutcome(event: BuildEvent): boolean {
  return event.kind === 'stage-finished' || event.kind === 'note'
}

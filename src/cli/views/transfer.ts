/** Shows files in transit: how much of each is done, how fast, and how long all the rest will take. */

import { type Colors, formatBytes, formatSeconds } from '../../report/format.ts'
import { type LiveLine, nameWidth } from './live-line.ts'

/** Progress of one file. */
export interface Transferred {
  readonly name: string
  readonly doneBytes: number
  /** How many of the done bytes this attempt sent. */
  readonly sentBytes: number
  readonly sizeBytes: number
}

export interface TransferView {
  readonly onStep: (step: Transferred) => void
  readonly onDone: (name: string) => void
}

/** Estimates based on less than this would jump. */
const leastMs = 2000

/** @param totalBytes of all files */
export function createTransferView(
  live: Pick<LiveLine, 'print' | 'start' | 'describe' | 'end'>,
  colors: Colors,
  totalBytes: number,
  nowMs: () => number,
): TransferView {
  const startedMs = nowMs()
  const before = { doneBytes: 0, sentBytes: 0 }
  let current: { readonly step: Transferred; readonly startedMs: number } | undefined

  const estimate = ({ doneBytes, sentBytes }: Transferred): string => {
    const elapsedMs = nowMs() - startedMs
    // What an earlier attempt sent says nothing about the current speed.
    const perMs = (before.sentBytes + sentBytes) / elapsedMs
    if (elapsedMs < leastMs || perMs === 0) return ''
    const restBytes = totalBytes - before.doneBytes - doneBytes
    return `, ${formatBytes(Math.round(perMs * 1000))}/s, ${formatSeconds(restBytes / perMs / 1000)} left of all`
  }

  return {
    onStep: (step) => {
      if (current?.step.name !== step.name) live.start(step.name, undefined)
      current = { step, startedMs: current?.step.name === step.name ? current.startedMs : nowMs() }
      live.describe(
        step.name,
        `${formatBytes(step.doneBytes)} of ${formatBytes(step.sizeBytes)}${estimate(step)}`,
      )
    },
    onDone: (name) => {
      if (current === undefined) return
      const { step } = current
      live.end(name)
      const took = formatSeconds((nowMs() - current.startedMs) / 1000)
      live.print(
        `${colors.green('✔')} ${name.padEnd(nameWidth)} ${took.padStart(8)}  ${formatBytes(step.sizeBytes)}`,
      )
      before.doneBytes += step.sizeBytes
      before.sentBytes += step.sentBytes
      current = undefined
    },
  }
}

/** The last lines of a terminal: what is running, how busy the guest is, its output, and what comes next. */

import { type Colors, formatBytes, formatSeconds } from '../../report/format.ts'
import { cutToWidth, sparkline } from './cells.ts'

/** An upcoming part of a run. */
export interface Ahead {
  readonly name: string
  readonly estimateSeconds: number | undefined
}

/** How busy a guest is. */
export interface Load {
  /** Share of its processors in use, from 0 to 1. */
  readonly processor: number
  /** Bytes read and written per second. */
  readonly diskBytes: number
}

/** A part or a stage that has begun and not ended. */
export interface RunningPart {
  readonly name: string
  readonly elapsedSeconds: number
  readonly estimateSeconds: number | undefined
  /** Its last lines of output, newest last. */
  readonly said: readonly string[]
}

export interface BoardState {
  /** In the order in which they began. */
  readonly running: readonly RunningPart[]
  /** The guest's load per second, newest last; empty if no guest is running. */
  readonly loads: readonly Load[]
  /** Parts that have not started, in order. */
  readonly next: readonly Ahead[]
  /** Time until the end of the run; undefined if unknown. */
  readonly leftSeconds: number | undefined
}

export interface BoardSize {
  readonly columns: number
  readonly rows: number
}

/** On a smaller terminal, a single line is clearer. */
export const smallestBoard: BoardSize = { columns: 40, rows: 12 }

const mostParts = 6
const mostSaid = 4
const graphSeconds = 20
const barCells = 20

/** The lines of the board, each narrower than the terminal; none if nothing runs. */
export function renderBoard(
  { running, loads, next, leftSeconds }: BoardState,
  { columns }: BoardSize,
  colors: Colors,
): readonly string[] {
  if (running.length === 0) return []
  // A terminal wraps at its last column.
  const cells = columns - 1
  const shown = running.slice(0, mostParts)
  const more = running.length - shown.length
  const parts = shown.map((part) => renderPart(part, running.length > 1, cells, colors))
  const [only] = running
  const said = running.length === 1 ? (only?.said ?? []).slice(-mostSaid) : []
  return [
    ...parts,
    ...(more > 0 ? [colors.dim(cutToWidth(`  and ${more} more`, cells))] : []),
    ...renderLoads(loads, cells, colors),
    ...said.map((line) => colors.dim(cutToWidth(`  │ ${line}`, cells))),
    ...renderNext(next, leftSeconds, cells, colors),
  ]
}

function renderPart(
  { name, elapsedSeconds, estimateSeconds, said }: RunningPart,
  hasOthers: boolean,
  cells: number,
  colors: Colors,
): string {
  const of = estimateSeconds === undefined ? '' : ` of about ${formatSeconds(estimateSeconds)}`
  const time = `${name.padEnd(16)} ${formatSeconds(elapsedSeconds).padStart(8)}${of}`
  const bar = estimateSeconds === undefined ? '' : `  ${renderBar(elapsedSeconds / estimateSeconds)}`
  // A part that runs alone shows its output below.
  const detail = hasOthers ? `  ${said.at(-1) ?? ''}` : bar
  return `${colors.cyan('●')} ${cutToWidth(`${time}${detail}`.trimEnd(), cells - 2)}`
}

/** Never full: a part that takes longer than last time is not done yet. */
function renderBar(share: number): string {
  const full = Math.min(barCells - 1, Math.floor(share * barCells))
  return `${'━'.repeat(full)}${'─'.repeat(barCells - full)}`
}

function renderLoads(loads: readonly Load[], cells: number, colors: Colors): readonly string[] {
  const last = loads.at(-1)
  if (last === undefined) return []
  const shown = loads.slice(-graphSeconds)
  const most = Math.max(1, ...shown.map(({ diskBytes }) => diskBytes))
  const graph = (values: readonly number[]) => sparkline(values).padStart(graphSeconds)
  const share = `${Math.round(last.processor * 100)} %`
  const processor = `  cpu ${graph(shown.map((load) => load.processor))} ${share.padStart(5)}`
  const disk = `  disk ${graph(shown.map(({ diskBytes }) => diskBytes / most))} ${formatBytes(Math.round(last.diskBytes))}/s`
  return [colors.dim(cutToWidth(`${processor}${disk}`, cells))]
}

function renderNext(
  next: readonly Ahead[],
  leftSeconds: number | undefined,
  cells: number,
  colors: Colors,
): readonly string[] {
  const left = leftSeconds === undefined ? '' : `about ${formatSeconds(leftSeconds)} left`
  const names = next.map(({ name, estimateSeconds }) =>
    estimateSeconds === undefined ? name : `${name} ${formatSeconds(estimateSeconds)}`,
  )
  if (left === '' && names.length === 0) return []
  const text = [left, names.length === 0 ? '' : `next: ${names.join(', ')}`].filter((part) => part !== '')
  return [colors.dim(cutToWidth(`  ${text.join('; ')}`, cells))]
}

/** Shows what is running below the permanent lines of a terminal: in one line, or in a board where there is room. */

import { type Colors, formatSeconds } from '../../report/format.ts'
import { type Ahead, type Load, type RunningPart, renderBoard, smallestBoard } from './board.ts'
import { cutToWidth } from './cells.ts'

export interface LiveLineOptions {
  readonly write: (text: string) => void
  /** Replaces the last `count` lines of the terminal with other text; the cursor stays at the end of that text. */
  readonly replaceLines: (count: number, text: string) => void
  /** Whether the cursor can be moved. Otherwise every line is permanent, and what is running gets one a minute. */
  readonly isLive: boolean
  /** Whether a board is allowed. */
  readonly hasBoard: boolean
  readonly columns: () => number
  readonly rows: () => number
  readonly colors: Colors
  readonly nowMs: () => number
}

export interface LiveLine {
  /** Writes a permanent line. */
  readonly print: (line: string) => void
  /** Lets others write permanent lines. */
  readonly aside: (write: () => void) => void
  /** Announces what will run, and how long all of it will take. */
  readonly expect: (ahead: readonly Ahead[], estimateSeconds: number | undefined) => void
  readonly start: (name: string, estimateSeconds: number | undefined) => void
  /** Shows what a running part is doing. */
  readonly describe: (name: string, detail: string) => void
  /** Shows how busy the guest is, once a second. */
  readonly load: (load: Load) => void
  readonly end: (name: string) => void
  readonly endAll: () => void
  /** Ends all parts, and erases the temporary lines. */
  readonly close: () => void
}

interface Running {
  readonly name: string
  readonly startedMs: number
  readonly estimateSeconds: number | undefined
  readonly said: string[]
}

/** Width of the column of names. */
export const nameWidth = 30

const redrawMs = 500
/** Without a terminal, a line this often shows that something is still running: some CI systems end jobs that print nothing. */
const reminderMs = 60_000
/** A guest can print thousands of lines in a second. */
const shortestMs = 80
const keptLines = 8
const keptLoads = 120
/** A guest that sends nothing for this long is gone. */
const loadLastsMs = 3000

export function openLiveLine(options: LiveLineOptions): LiveLine {
  const { write, isLive, colors, nowMs } = options
  // Exports run in parallel, everything else sequentially.
  const running = new Map<string, Running>()
  let ahead: readonly Ahead[] = []
  let end: { readonly atMs: number } | undefined
  let loads: readonly (Load & { readonly atMs: number })[] = []
  let drawnLines = 0
  let drawnMs = Number.NEGATIVE_INFINITY

  const clear = () => {
    if (drawnLines > 0) options.replaceLines(drawnLines, '')
    drawnLines = 0
  }
  const lines = (): readonly string[] => {
    const size = { columns: options.columns(), rows: options.rows() }
    const isRoomy = size.columns >= smallestBoard.columns && size.rows >= smallestBoard.rows
    const now = nowMs()
    if (options.hasBoard && isRoomy) {
      const fresh = loads.filter(({ atMs }) => now - atMs < keptLoads * 1000)
      const isFresh = now - (fresh.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) < loadLastsMs
      const left = end === undefined ? undefined : Math.max(0, (end.atMs - now) / 1000)
      const parts = [...running.values()].map((part) => asPart(part, now))
      const state = { running: parts, loads: isFresh ? fresh : [], next: ahead }
      return renderBoard({ ...state, leftSeconds: left === 0 ? undefined : left }, size, colors)
    }
    const text = formatRunning([...running.values()], now)
    return [`${colors.cyan('●')} ${cutToWidth(text, Math.max(20, size.columns - 4))}`]
  }
  const draw = () => {
    if (!isLive) return
    if (running.size === 0) return clear()
    drawnMs = nowMs()
    const now = lines()
    options.replaceLines(drawnLines, now.join('\n'))
    drawnLines = now.length
  }
  const drawSoon = () => {
    if (nowMs() - drawnMs >= shortestMs) draw()
  }
  const remind = () => {
    if (running.size > 0) write(`… ${formatRunning([...running.values()], nowMs())}\n`)
  }
  const timer = isLive ? setInterval(draw, redrawMs) : setInterval(remind, reminderMs)
  timer.unref()
  const endAll = () => {
    clear()
    running.clear()
    ahead = []
    end = undefined
  }
  const aside = (act: () => void) => {
    clear()
    act()
    draw()
  }
  return {
    print: (line) => aside(() => write(`${line}\n`)),
    aside,
    expect: (all, estimateSeconds) => {
      ahead = all
      end = estimateSeconds === undefined ? undefined : { atMs: nowMs() + estimateSeconds * 1000 }
    },
    start: (name, estimateSeconds) => {
      running.set(name, { name, startedMs: nowMs(), estimateSeconds, said: [] })
      ahead = ahead.filter((part) => part.name !== name)
      if (!isLive) write(`● ${name}${formatEstimate(estimateSeconds)}\n`)
      draw()
    },
    describe: (name, detail) => {
      const said = running.get(name)?.said
      said?.push(detail)
      if (said !== undefined && said.length > keptLines) said.shift()
      drawSoon()
    },
    load: (load) => {
      loads = [...loads, { ...load, atMs: nowMs() }].slice(-keptLoads)
      drawSoon()
    },
    end: (name) => {
      running.delete(name)
      ahead = ahead.filter((part) => part.name !== name)
      if (isLive) draw()
    },
    endAll,
    close: () => {
      clearInterval(timer)
      endAll()
    },
  }
}

function asPart({ name, startedMs, estimateSeconds, said }: Running, nowMs: number): RunningPart {
  return { name, elapsedSeconds: (nowMs - startedMs) / 1000, estimateSeconds, said }
}

function formatEstimate(seconds: number | undefined): string {
  return seconds === undefined ? '' : ` (about ${formatSeconds(seconds)})`
}

function formatRunning(parts: readonly Running[], nowMs: number): string {
  const [first] = parts as readonly [Running]
  const elapsed = formatSeconds((nowMs - first.startedMs) / 1000)
  if (parts.length > 1) {
    return `${elapsed.padStart(8)}  ${parts.map(({ name, said }) => `${name} ${said.at(-1) ?? ''}`.trim()).join('   ')}`
  }
  const { name, estimateSeconds, said } = first
  const of = estimateSeconds === undefined ? '' : ` of about ${formatSeconds(estimateSeconds)}`
  return `${name.padEnd(nameWidth)} ${elapsed.padStart(8)}${of}  ${said.at(-1) ?? ''}`.trimEnd()
}

/** The last line of a terminal, which says what is running, below the lines that stay. */

import { type Colors, formatSeconds } from '../../report/format.ts'

export interface LiveLineOptions {
  readonly write: (text: string) => void
  readonly eraseLine: () => void
  /** Whether the cursor may be moved. Otherwise every line stays, and nothing is written twice. */
  readonly isLive: boolean
  readonly columns: number
  readonly colors: Colors
  readonly nowMs: () => number
}

export interface LiveLine {
  /** Writes a line that stays. */
  readonly print: (line: string) => void
  readonly start: (name: string, estimateSeconds: number | undefined) => void
  /** Says what a running part is doing. */
  readonly describe: (name: string, detail: string) => void
  readonly end: (name: string) => void
  readonly endAll: () => void
  /** Ends all parts, and erases the line for good. */
  readonly close: () => void
}

interface Running {
  readonly name: string
  readonly startedMs: number
  readonly estimateSeconds: number | undefined
  detail: string
}

/** Width of the column of names. */
export const nameWidth = 30

export function openLiveLine({
  write,
  eraseLine,
  isLive,
  columns,
  colors,
  nowMs,
}: LiveLineOptions): LiveLine {
  // Exports run in parallel, everything else one after the other.
  const running = new Map<string, Running>()
  const clear = () => {
    if (isLive && running.size > 0) eraseLine()
  }
  const draw = () => {
    if (!isLive || running.size === 0) return
    const line = formatRunning([...running.values()], nowMs())
    eraseLine()
    write(`${colors.cyan('●')} ${line.slice(0, Math.max(20, columns - 4))}`)
  }
  const timer = isLive ? setInterval(draw, 500) : undefined
  timer?.unref()
  const endAll = () => {
    clear()
    running.clear()
  }
  return {
    print: (line) => {
      clear()
      write(`${line}\n`)
      draw()
    },
    start: (name, estimateSeconds) => {
      running.set(name, { name, startedMs: nowMs(), estimateSeconds, detail: '' })
      if (!isLive) write(`● ${name}${formatEstimate(estimateSeconds)}\n`)
      draw()
    },
    describe: (name, detail) => {
      const part = running.get(name)
      if (part !== undefined) part.detail = detail
      draw()
    },
    end: (name) => {
      clear()
      running.delete(name)
    },
    endAll,
    close: () => {
      clearInterval(timer)
      endAll()
    },
  }
}

function formatEstimate(seconds: number | undefined): string {
  return seconds === undefined ? '' : ` (about ${formatSeconds(seconds)})`
}

function formatRunning(parts: readonly Running[], nowMs: number): string {
  const [first] = parts as readonly [Running]
  const elapsed = formatSeconds((nowMs - first.startedMs) / 1000)
  if (parts.length > 1) {
    return `${elapsed.padStart(8)}  ${parts.map(({ name, detail }) => `${name} ${detail}`.trim()).join('   ')}`
  }
  const { name, estimateSeconds, detail } = first
  const of = estimateSeconds === undefined ? '' : ` of about ${formatSeconds(estimateSeconds)}`
  return `${name.padEnd(nameWidth)} ${elapsed.padStart(8)}${of}  ${detail}`.trimEnd()
}

/** A build as a process of its own that tells what it does, so that it can be killed at a moment of its own. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { findMarked } from '../../src/host/process.ts'
import type { BuildEvent } from '../../src/report/events.ts'
import { program } from '../e2e/program.ts'

export interface Ended {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

export interface WatchedBuild {
  readonly child: ChildProcess
  /** Everything it has told so far. */
  readonly events: readonly BuildEvent[]
  /** Resolves with the first event that fits, or with undefined when the build has ended without one. */
  readonly event: (fits: (event: BuildEvent) => boolean) => Promise<BuildEvent | undefined>
  readonly runId: () => string | undefined
  /** What runs at the moment: the last part or stage that has begun and not ended. */
  readonly running: () => string
  readonly ended: Promise<Ended>
}

/** Starts `build --json`, bounded. */
export function watchBuild(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  limitSeconds = 600,
): WatchedBuild {
  const child = spawn(process.execPath, [program, 'build', '--json', ...words], {
    env: { ...process.env, CI: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limitSeconds * 1000,
  })
  const events: BuildEvent[] = []
  const waiting = new Set<(event: BuildEvent | undefined) => void>()
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    const event = parseEvent(line)
    if (event === undefined) return
    events.push(event)
    for (const tell of waiting) tell(event)
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  // Not `close`: what a killed build has started may hold its pipes open.
  const ended = once(child, 'exit').then(([exitCode, signal]): Ended => {
    for (const tell of waiting) tell(undefined)
    return { exitCode: exitCode as number | null, signal: signal as NodeJS.Signals | null, stderr }
  })
  return {
    child,
    events,
    event: (fits) =>
      new Promise((resolve) => {
        const known = events.find(fits)
        if (known !== undefined || child.exitCode !== null || child.signalCode !== null) return resolve(known)
        const tell = (event: BuildEvent | undefined) => {
          if (event !== undefined && !fits(event)) return
          waiting.delete(tell)
          resolve(event)
        }
        waiting.add(tell)
      }),
    runId: () => events.flatMap((event) => (event.kind === 'run-started' ? [event.runId] : []))[0],
    running: () => runningAt(events),
    ended,
  }
}

/** The line that a kill cut off is none. */
function parseEvent(line: string): BuildEvent | undefined {
  try {
    return JSON.parse(line) as BuildEvent
  } catch {
    return undefined
  }
}

function runningAt(events: readonly BuildEvent[]): string {
  const running: string[] = []
  for (const event of events) {
    if (event.kind === 'part-started' || event.kind === 'stage-started') running.push(event.name)
    const ended =
      event.kind === 'part-finished'
        ? event.name
        : event.kind === 'stage-finished'
          ? event.stage.name
          : undefined
    if (ended !== undefined) running.splice(running.indexOf(ended), running.includes(ended) ? 1 : 0)
  }
  return running.join(', ') || (events.length === 0 ? 'starting' : 'between')
}

/** Processes that a run has started, by their ids, with their command lines. */
export async function processesOfRun(runId: string): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>()
  for (const pid of await findMarked(runId)) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (line !== '') found.set(pid, line.replaceAll('\0', ' ').trim())
  }
  return found
}

/** Long-running external programs, each in its own process group, none of which outlives us. */

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { awaitedLater } from './awaited-later.ts'
import { breakLines } from './break-lines.ts'

/** Environment variable that marks a process as part of a run, even after all its parents are gone. */
export const runMarker = 'SYSTEMVM_IMAGE_RUN'

export interface ProcessResult {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ProcessGroup {
  readonly pid: number
  /** Resolves when the program has ended and its output has been read. */
  readonly ended: Promise<ProcessResult>
  /** Asks the group to end, and kills what is left after `graceMs`. Resolves when no process is left. */
  readonly stop: (graceMs: number) => Promise<void>
}

/** Of a line. The longest that programs print are messages of Packer, with a few kB. */
const mostLineBytes = 1024 ** 2

/** Starts a program as the leader of its own group. `setpriv` ensures that it gets a signal if we die without cleanup. */
export function startGroup(
  command: string,
  commandArguments: readonly string[],
  options: {
    readonly cwd?: string
    readonly env?: Readonly<Record<string, string>>
    /** Whether it also gets our own environment. @default true */
    readonly extendEnv?: boolean
    readonly onLine: (line: string, from: 'stdout' | 'stderr') => void
  },
): ProcessGroup {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...commandArguments], {
    cwd: options.cwd,
    env: { ...(options.extendEnv === false ? {} : process.env), ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines = (['stdout', 'stderr'] as const).map((from) => {
    const reader = createInterface({ input: child[from].pipe(breakLines(mostLineBytes)) })
    reader.on('line', (line) => options.onLine(line, from))
    return once(reader, 'close')
  })
  const untilEnd = async (): Promise<ProcessResult> => {
    const [exitCode, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    // A grandchild may hold the pipes open; it is not worth waiting for.
    await Promise.race([Promise.all(lines), sleep(2000, undefined, { ref: false })])
    return { exitCode, signal }
  }
  const pid = child.pid ?? 0
  return { pid, ended: awaitedLater(untilEnd()), stop: (graceMs) => stopGroup(pid, graceMs) }
}

/** Starts a program on our terminal, in our own group, so that it gets keyboard input and the terminal's signals. */
export function startOnTerminal(command: string, commandArguments: readonly string[]): ProcessGroup {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...commandArguments], {
    stdio: 'inherit',
  })
  const ended = awaitedLater(
    once(child, 'exit').then(
      ([exitCode, signal]): ProcessResult => ({ exitCode: exitCode as number | null, signal }),
    ),
  )
  const stop = async (graceMs: number): Promise<void> => {
    child.kill('SIGTERM')
    const limit = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await ended.catch(() => undefined)
    clearTimeout(limit)
  }
  return { pid: child.pid ?? 0, ended, stop }
}

async function stopGroup(pid: number, graceMs: number): Promise<void> {
  if (pid === 0 || !signalGroup(pid, 'SIGTERM')) return
  for (const deadlineMs = performance.now() + graceMs; performance.now() < deadlineMs; ) {
    if (!signalGroup(pid, 0)) return
    await sleep(50)
  }
  signalGroup(pid, 'SIGKILL')
  for (let tries = 0; tries < 100 && signalGroup(pid, 0); tries += 1) await sleep(20)
}

function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/** Makes every process started from now on, however indirectly, carry the mark of a run. */
export function markChildren(runId: string): void {
  process.env[runMarker] = runId
}

/** Kills every process with a run's mark, and waits until none is left. Returns how many there were. */
export async function killMarked(runId: string): Promise<number> {
  const killed = new Set<number>()
  // A process may start another one between listing and killing; an unkillable one must not block us forever.
  for (let tries = 0; tries < 100; tries += 1) {
    const marked = await findMarked(runId)
    if (marked.length === 0) break
    for (const pid of marked) {
      killed.add(pid)
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has already ended.
      }
    }
    await sleep(50)
  }
  return killed.size
}

/** Pids of the processes with a run's mark, except our own. A process that has ended no longer has a mark. */
export async function findMarked(runId: string): Promise<readonly number[]> {
  const mark = `${runMarker}=${runId}`
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const marked: number[] = []
  await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      if (environment.split('\0').includes(mark)) marked.push(Number(pid))
    }),
  )
  return marked
}

/**
 * When a process started, in clock ticks since boot; together with the pid, this is unique. Undefined for a process that has
 * ended, even if it is a zombie.
 */
export async function startTime(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The second field is the name in parentheses, which can contain anything.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19]
}

export const runFile = promisify(execFile)

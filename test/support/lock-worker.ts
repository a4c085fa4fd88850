/** Processes that take a lock, and are stopped or killed while they hold it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface LockWorker {
  readonly pid: number
  readonly kill: (signal: NodeJS.Signals) => void
  /** Resolves once it has printed a text. */
  readonly said: (text: string) => Promise<void>
  /** Everything that it has printed. */
  readonly text: () => string
  readonly ended: Promise<unknown>
}

/** How often a worker that dies with the lock has had it by then. */
export const timesHeld = 20

const run = fileURLToPath(new URL('run.js', import.meta.url))
const script = 'test/support/lock-worker-main.ts'

/** @param words what it does with the lock: see `lock-worker-main.ts` */
export function startLockWorker(
  folder: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): LockWorker {
  const child = spawn(process.execPath, [run, script, folder, `${timesHeld}`, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  let all = ''
  child.stdout.on('data', (chunk: Buffer) => {
    all += String(chunk)
  })
  return {
    pid: child.pid ?? 0,
    kill: (signal) => child.kill(signal),
    text: () => all,
    ended: once(child, 'close'),
    said: async (text) => {
      while (!all.includes(text)) {
        const [chunk] = await Promise.race([once(child.stdout, 'data'), once(child, 'close')])
        if (typeof chunk === 'number' || chunk === null) throw new Error(`it ended, and said only: ${all}`)
      }
    },
  }
}

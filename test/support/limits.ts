/** Limits of time that are over soon, and the garbage collector, which must not remove them. */

import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { onTestFinished } from 'vitest'

/** The shortest limit of this program is a minute; tests have shorter delays. */
const shortestMs = 60_000
const soonMs = 300

/**
 * Ends every limit soon, whichever of Node's timers it uses.
 * @returns the limits that were set, in milliseconds
 */
export function shortenLimits(shortest = shortestMs): readonly number[] {
  const asked: number[] = []
  const shorten = (ms = 0): number => {
    if (ms < shortest) return ms
    asked.push(ms)
    return soonMs
  }
  const { setTimeout: start } = globalThis
  const { timeout } = AbortSignal
  const startSoon = (act: () => void, ms?: number, ...words: []) => start(act, shorten(ms), ...words)
  // Mocks remember all results, and would keep them from being collected.
  Object.assign(globalThis, { setTimeout: startSoon })
  Object.assign(AbortSignal, { timeout: (ms: number) => timeout.call(AbortSignal, shorten(ms)) })
  onTestFinished(() => {
    Object.assign(globalThis, { setTimeout: start })
    Object.assign(AbortSignal, { timeout })
  })
  return asked
}

/** Objects that only weak references name live until the turn in which they were made has ended. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 5; round += 1) {
    collect()
    await turn()
  }
}

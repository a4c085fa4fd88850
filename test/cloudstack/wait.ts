/** Waiting for what a guest comes to in its own time. */

import { setTimeout as sleep } from 'node:timers/promises'

/** Asks every second. @throws Error with what was waited for, when it has not come true in time */
export async function waitUntil(
  what: string,
  limitSeconds: number,
  isTrue: () => Promise<boolean>,
): Promise<void> {
  for (const end = Date.now() + limitSeconds * 1000; Date.now() < end; ) {
    if (await isTrue()) return
    await sleep(1000)
  }
  throw new Error(`not within ${limitSeconds} s: ${what}`)
}

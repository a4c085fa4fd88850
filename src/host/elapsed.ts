/** How long something took. */

/** Seconds since a reading of `performance.now()`, to the millisecond. */
export function secondsSince(startedMs: number): number {
  return Math.round(performance.now() - startedMs) / 1000
}

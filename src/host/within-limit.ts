/** Limits the time that something takes. */

/** Longest delay that timers support: 24 days. */
const longestMs = 2 ** 31 - 1

/**
 * Runs an action with a signal that is aborted once the time is over, when the other signal is aborted, and at the end, so
 * that nothing of the action continues.
 *
 * The timer keeps the limit alive. `AbortSignal.any` refers to its sources weakly, so on Node.js 18 and 20, a timeout signal
 * that nothing else refers to is garbage collected and never fires.
 * @param late makes the reason once the time is over
 */
export async function withinLimit<Result>(
  limitMs: number,
  signal: AbortSignal | undefined,
  action: (within: AbortSignal) => Promise<Result>,
  late: () => Error = () => tookLonger(limitMs),
): Promise<Result> {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(late()), Math.min(limitMs, longestMs))
  try {
    return await action(signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]))
  } finally {
    clearTimeout(timer)
    over.abort()
  }
}

export function tookLonger(limitMs: number): Error {
  return new Error(`it took longer than ${Math.ceil(limitMs / 1000)} s`)
}

/** Interruption by a person or a supervisor: the first signal cleans up, the second ends the program at once. */

import { setMaxListeners } from 'node:events'
import { exitCodes, PipelineError } from '../errors.ts'

/** npm forwards a signal that the terminal has already sent us: only a later one is a second request. */
const sameRequestMs = 1000

/** Runs an action with an abort signal that the first SIGINT or SIGTERM triggers. */
export async function untilInterrupted<Result>(
  action: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const stopping = new AbortController()
  // Every running program listens to it: exports alone are a dozen.
  setMaxListeners(0, stopping.signal)
  let askedMs: number | undefined
  const stop = () => {
    if (askedMs === undefined) {
      askedMs = performance.now()
      stopping.abort(
        new PipelineError({ code: 'interrupted', message: 'interrupted', exitCode: exitCodes.interrupted }),
      )
    } else if (performance.now() - askedMs > sameRequestMs) {
      process.exit(exitCodes.interrupted)
    }
  }
  // Not `once`: execa kills the process with the same signal if nothing else listens for it.
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    return await action(stopping.signal)
  } catch (error) {
    // The error of an aborted program is not worth showing.
    throw stopping.signal.aborted ? stopping.signal.reason : error
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

/** What a person or a supervisor does to end us: asks once, and we clean up; asks again, and we are gone. */

import { setMaxListeners } from 'node:events'
import { exitCodes, PipelineError } from '../errors.ts'

/** npm hands a signal on that the terminal has sent us already: only a later one is a second request. */
const sameRequestMs = 1000

/** Runs an action whose signal is aborted by the first SIGINT or SIGTERM. */
export async function untilInterrupted<Result>(
  action: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const stopping = new AbortController()
  // Every program that runs at a time listens to it: exports alone are a dozen.
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
  // Not `once`: execa kills the process by the same signal when it finds that nobody else listens to it.
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    return await action(stopping.signal)
  } catch (error) {
    // What an aborted program says of it is not worth showing.
    throw stopping.signal.aborted ? stopping.signal.reason : error
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

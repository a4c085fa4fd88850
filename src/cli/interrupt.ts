/** What a person or a supervisor does to end us: asks once, and we clean up; asks again, and we are gone. */

import { setMaxListeners } from 'node:events'
import { exitCodes, PipelineError } from '../errors.ts'

/** Runs an action whose signal is aborted by the first SIGINT or SIGTERM. */
export async function untilInterrupted<Result>(
  action: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const stopping = new AbortController()
  // Every program that runs at a time listens to it: exports alone are a dozen.
  setMaxListeners(0, stopping.signal)
  const stop = () =>
    stopping.abort(
      new PipelineError({ code: 'interrupted', message: 'interrupted', exitCode: exitCodes.interrupted }),
    )
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
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

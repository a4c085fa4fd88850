/** Interruption by a person or a supervisor: the first signal cleans up, the second ends the program at once. */

import { setMaxListeners } from 'node:events'
import { exitCodes, PipelineError } from '../errors.ts'

/** npm forwards a signal that the terminal has already sent us, so only a later one counts as a second request. */
const sameRequestMs = 1000

/** Sent by a person, a supervisor, and a closing terminal. Node undoes what `nohup` does about the last. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs an action with an abort signal, which the first of these signals triggers. */
export async function untilInterrupted<Result>(
  action: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const stopping = new AbortController()
  // Every running program listens to it, and exports alone start a dozen.
  setMaxListeners(0, stopping.signal)
  let askedMs: number | undefined
  const stop = (name: NodeJS.Signals) => {
    if (name === 'SIGHUP') keepSilent()
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
  for (const name of signals) process.on(name, stop)
  try {
    return await action(stopping.signal)
  } catch (error) {
    // The error of an aborted program is not worth showing.
    throw stopping.signal.aborted ? stopping.signal.reason : error
  } finally {
    for (const name of signals) process.off(name, stop)
  }
}

/** The terminal is gone: a failed write to it must not end the program before it has cleaned up. */
function keepSilent(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners('error').on('error', () => undefined)
}

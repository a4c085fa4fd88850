/** How much a guest may print before it counts as filling the host's disk. */

import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { PipelineError } from '../errors.ts'

/** A boot prints 100 kB, or a few MB with all of the kernel's debug output; stages print less than that. */
const mostMiB = 64
const pollMs = 500

/**
 * Watches the logs with what a guest prints, which need not exist yet.
 * @param onFlood called at most once
 * @returns stops watching
 */
export function watchOutputLogs(
  logs: readonly string[],
  onFlood: (error: PipelineError) => void,
): () => void {
  let isOver = false
  const stop = () => {
    isOver = true
    clearInterval(timer)
  }
  const timer = setInterval(async () => {
    const sizes = await Promise.all(logs.map(sizeOf))
    const flooded = logs[sizes.findIndex((size) => size > mostMiB * 1024 ** 2)]
    if (flooded === undefined || isOver) return
    stop()
    onFlood(guestFloods(flooded))
  }, pollMs)
  return stop
}

// --- internal ---

async function sizeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}

function guestFloods(log: string): PipelineError {
  return new PipelineError({
    code: 'guest-floods',
    message: `the guest was stopped: it printed more than ${mostMiB} MiB (${basename(log)})`,
    hint: 'silence the program that prints, or ask whoever made the image.',
  })
}

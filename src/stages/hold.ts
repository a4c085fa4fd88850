/** Holds a guest after a stage has failed in it, so that a person can look inside. */

import type { PipelineError } from '../errors.ts'
import { findFreePort } from '../host/ports.ts'
import type { Qmp } from '../qemu/qmp.ts'

/** A failed stage, in a guest that is still running. */
export interface HeldStage {
  readonly name: string
  readonly failure: PipelineError
  /** Port on 127.0.0.1 of the guest's SSH, and root's private key for it. */
  readonly port: number
  readonly privateKey: string
}

/**
 * `stop` ends the run. `retry` also ends it: the stage runs again from the layer below, not on what it left behind. `go on`
 * runs the next stages on what it left behind, and keeps none of them.
 */
export type Decision = 'retry' | 'go on' | 'stop'

export type Decide = (held: HeldStage, signal: AbortSignal) => Promise<Decision>

/** Forwards a second port to the guest's SSH, since only Packer knows the first. Returns its number. */
export async function forwardSsh(qmp: Qmp): Promise<number> {
  const port = await findFreePort()
  const answer = await qmp.execute('human-monitor-command', {
    'command-line': `hostfwd_add net0 tcp:127.0.0.1:${port}-:22`,
  })
  if (answer !== '') throw new Error(`QEMU forwards no port: ${String(answer).trim()}`)
  return port
}

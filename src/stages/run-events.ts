/** What can happen while stages run, and what can be done about it. */

import type { PipelineError } from '../errors.ts'
import type { ProcessResult } from '../host/process.ts'
import type { BuildEvent } from '../report/events.ts'
import type { Layer } from '../store/layer-record.ts'
import type { ConsoleTail } from './failures.ts'
import type { GuestEvent } from './guest-watch.ts'
import type { Decision } from './hold.ts'
import type { StageEvent, StageOutcome } from './recorder.ts'

export type RunEvent =
  /** Packer has started, and with it QEMU. */
  | { readonly kind: 'started' }
  | { readonly kind: 'guest-resumed' }
  | { readonly kind: 'resume-failed'; readonly cause: unknown }
  | GuestEvent
  | StageEvent
  | { readonly kind: 'log-failed'; readonly error: PipelineError }
  /** Packer waits for a stage's checkpoint, or for the one before the first stage. */
  | { readonly kind: 'checkpoint-asked'; readonly name: string }
  /** The guest runs again, and writes to the next stage's disk. */
  | { readonly kind: 'checkpoint-taken'; readonly name: string }
  | { readonly kind: 'checkpoint-failed'; readonly name: string; readonly cause: unknown }
  /** The store has recorded a layer. */
  | { readonly kind: 'layer-sealed'; readonly layer: Layer }
  | { readonly kind: 'seal-failed'; readonly name: string; readonly cause: unknown }
  /** A person has decided about the stage that is held. */
  | { readonly kind: 'decided'; readonly decision: Decision }
  | { readonly kind: 'hold-failed'; readonly cause: unknown }
  | { readonly kind: 'timer-fired'; readonly id: string }
  | { readonly kind: 'interrupted' }
  /** Packer has ended, and the console has had time for its last output. */
  | PackerEnded
  /** Everything is cleaned up: no more events follow. */
  | {
      readonly kind: 'settled'
      /** The stage that was still running. */
      readonly cutOff: StageOutcome | undefined
    }

export interface PackerEnded extends ProcessResult {
  readonly kind: 'packer-ended'
  /** The lines that Packer marked as errors. */
  readonly errors: readonly string[]
  readonly console: ConsoleTail
}

/** How a guest came up. */
export type Start = 'boot' | 'resume'

export type RunEffect =
  | { readonly kind: 'stop-packer' }
  | { readonly kind: 'resume-guest' }
  /** Stops watching the boot: from now on, a silent console means nothing. */
  | { readonly kind: 'end-boot-watch' }
  /** Suspends the guest before its first stage if its state is worth saving. */
  | { readonly kind: 'take-opening'; readonly start: Start; readonly part: string }
  | { readonly kind: 'record-opening' }
  | { readonly kind: 'take-checkpoint'; readonly name: string }
  /** Lets Packer continue, or ends it with an error. */
  | { readonly kind: 'answer-checkpoint'; readonly name: string; readonly error?: string }
  | { readonly kind: 'record-layer'; readonly outcome: StageOutcome }
  /** Asks QEMU, while it is running, how much the last stage wrote. */
  | { readonly kind: 'measure-last' }
  | { readonly kind: 'hold'; readonly name: string; readonly failure: PipelineError }
  /** Lets a held stage end as if it had succeeded. */
  | { readonly kind: 'release' }
  | { readonly kind: 'start-timer'; readonly id: string; readonly seconds: number }
  | { readonly kind: 'clear-timer'; readonly id: string }
  | { readonly kind: 'start-part'; readonly name: string }
  | { readonly kind: 'finish-part'; readonly name: string; readonly text?: string }
  | { readonly kind: 'append-log'; readonly name: string; readonly text: string }
  | { readonly kind: 'report'; readonly event: BuildEvent }

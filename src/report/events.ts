/** What a run reports while it is in progress. The engine emits these events and prints nothing; reporters print. */

import type { ImageResult, Report, StageResult } from './report.ts'
import type { CheckResult, ImageVerification } from './verification.ts'

/** Space that a run will take on the disk of `out/`, as far as known, in bytes. */
export interface RoomAhead {
  /** The peak. */
  readonly peakBytes: number
  /** Whether everything that will be made has been made before. */
  readonly isKnown: boolean
  readonly freeBytes: number
}

/** One planned stage, for a reporter that shows what is ahead. */
export interface Ahead {
  readonly name: string
  /** Whether a layer from the store will be used. */
  readonly cached: boolean
  /** Seconds that it took last time, if known. */
  readonly estimateSeconds: number | undefined
}

export type BuildEvent =
  | {
      readonly kind: 'run-started'
      readonly runId: string
      readonly variant: string
      readonly ahead: readonly Ahead[]
      /** Seconds that the whole run will take, if known. */
      readonly estimateSeconds: number | undefined
      /** Whether the estimate is for emulated guests, because nothing was ever built here. */
      readonly assumesEmulation: boolean
      readonly room: RoomAhead
    }
  /** A part of the run that is not a stage: the installation, the boot, an export. */
  | { readonly kind: 'part-started'; readonly name: string; readonly estimateSeconds: number | undefined }
  | { readonly kind: 'part-progress'; readonly name: string; readonly text: string }
  | {
      readonly kind: 'part-finished'
      readonly name: string
      readonly seconds: number
      readonly text?: string
    }
  | { readonly kind: 'stage-started'; readonly name: string; readonly estimateSeconds: number | undefined }
  | { readonly kind: 'stage-output'; readonly name: string; readonly text: string }
  /** How busy the guest is, once a second: load of its processors from 0 to 1, and bytes read and written per second. */
  | { readonly kind: 'guest-load'; readonly processor: number; readonly diskBytes: number }
  | { readonly kind: 'stage-finished'; readonly stage: StageResult }
  | { readonly kind: 'image-finished'; readonly image: ImageResult; readonly cached: boolean }
  /** One check of an image; waivers are not applied yet. */
  | { readonly kind: 'check-finished'; readonly target: string; readonly check: CheckResult }
  | { readonly kind: 'image-verified'; readonly verification: ImageVerification }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'run-finished'; readonly report: Report }

export type Emit = (event: BuildEvent) => void

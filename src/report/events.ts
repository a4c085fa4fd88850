/** What a run tells while it goes on. The engine emits these and prints nothing; reporters do. */

import type { ImageResult, Report, StageResult } from './report.ts'
import type { CheckResult, ImageVerification } from './verification.ts'

/** What a run will take of the disk that `out/` lies on, as far as known, in bytes. */
export interface RoomAhead {
  /** The most at a time. */
  readonly peakBytes: number
  /** Whether everything that will be made was made before. */
  readonly isKnown: boolean
  readonly freeBytes: number
}

/** One stage as it is planned, for a reporter that wants to show what is ahead. */
export interface Ahead {
  readonly name: string
  /** Whether a layer of the store will be used. */
  readonly cached: boolean
  /** Seconds that it took the last time, as far as known. */
  readonly estimateSeconds: number | undefined
}

export type BuildEvent =
  | {
      readonly kind: 'run-started'
      readonly runId: string
      readonly variant: string
      readonly ahead: readonly Ahead[]
      /** Seconds the whole run will take, as far as known. */
      readonly estimateSeconds: number | undefined
      readonly room: RoomAhead
    }
  /** A part of the run that is no stage: the installation, the boot, an export. */
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
  | { readonly kind: 'stage-finished'; readonly stage: StageResult }
  | { readonly kind: 'image-finished'; readonly image: ImageResult; readonly cached: boolean }
  /** One check of an image that is being verified; waivers are not applied yet. */
  | { readonly kind: 'check-finished'; readonly target: string; readonly check: CheckResult }
  | { readonly kind: 'image-verified'; readonly verification: ImageVerification }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'run-finished'; readonly report: Report }

export type Emit = (event: BuildEvent) => void

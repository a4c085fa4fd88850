/** One run: the request, what is known so far, and the report about it. */

import { availableParallelism, totalmem } from 'node:os'
import type { ResolvedImage } from '../config/resolved.ts'
import type { PackageSet } from '../debian/package-set.ts'
import { exitCodes, type PipelineError } from '../errors.ts'
import type { Source } from '../host/git.ts'
import type { Lock } from '../host/lock.ts'
import type { RunFolder } from '../host/run-folder.ts'
import type { Estimates } from '../plan/estimates.ts'
import type { Plan, PlanOptions } from '../plan/plan.ts'
import type { InputPackage } from '../provenance/inputs.ts'
import type { Locked } from '../provenance/lock.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import type { Accelerator } from '../qemu/machine.ts'
import { redactAll } from '../redact.ts'
import type { Emit } from '../report/events.ts'
import { describeFailure } from '../report/failure.ts'
import type { Freshness } from '../report/freshness.ts'
import {
  type ImageResult,
  mostWordCharacters,
  mostWords,
  type Report,
  reportVersion,
  type StageResult,
} from '../report/report.ts'
import type { ImageVerification } from '../report/verification.ts'
import type { Decide } from '../stages/hold.ts'
import type { Layer } from '../store/layer-record.ts'
import type { Store } from '../store/store.ts'
import type { HostTools } from './preflight.ts'
import type { StoreBound } from './store-bound.ts'

export interface BuildRequest {
  readonly image: ResolvedImage
  readonly outFolder: string
  /** Which layers of the store to use, and how far to go. */
  readonly planning: PlanOptions
  readonly forceAccelerator?: Accelerator | undefined
  /** What to do when a stage fails; without it, the run stops. */
  readonly decide?: Decide | undefined
  /** The stage that a person is changing: the guest's state is saved before it. */
  readonly workedOn?: string | undefined
  /** A last stage whose layer is not kept. */
  readonly throwAway?: string | undefined
  /** Make layer 0 again if the archives have newer packages than the layers. */
  readonly refresh?: boolean | undefined
  /** Wait for another build in the same folder instead of failing. */
  readonly wait?: boolean | undefined
  /** How much of the store to keep after the build; all by default. */
  readonly bound?: StoreBound | undefined
  /** The command as the user gave it, for the report. */
  readonly command: readonly string[]
  /** The Git checkout of the pipeline. */
  readonly source?: Source | undefined
  /** The lock that the build must match; without it, the build takes what the mirror serves. */
  readonly locked?: Locked | undefined
  /** Source of packages: with it, no mirror is contacted. */
  readonly packages?: PackageSet | undefined
  /** Boots finished images and checks them against the contract. Absent: nothing is verified. */
  readonly verify?: Verify | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** The verdicts on finished images. */
export interface Verdicts {
  readonly verifications: readonly ImageVerification[]
  /** Checks that the configuration waives and that did not fail. */
  readonly unusedWaivers: readonly string[]
}

export type Verify = (
  images: readonly ImageResult[],
  context: Pick<Run, 'runFolder' | 'emit' | 'estimates'>,
) => Promise<Verdicts>

/** What a run knows so far. It becomes the report at the end, whatever happens. */
export interface Run {
  readonly request: BuildRequest
  readonly runFolder: RunFolder
  readonly store: Store
  readonly lock: Pick<Lock, 'confirm'>
  readonly tools: HostTools
  readonly estimates: Estimates
  readonly plan: Plan
  readonly startedAt: Date
  /** Time since the start, by the monotonic clock. */
  readonly elapsedSeconds: () => number
  readonly emit: Emit
  readonly timings: Report['timings']
  /** When stages began, in seconds from the start of the run. */
  readonly stageStarts: Map<string, number>
  accelerator: AcceleratorChoice | undefined
  /** Layer 0, once it is there. */
  base: Layer | undefined
  stages: readonly StageResult[]
  /** The disk that images are made from, if the plan has one. */
  final: Layer | undefined
  images: readonly ImageResult[]
  /** Packages of the image; undefined until its inputs are recorded. */
  packages: readonly InputPackage[] | undefined
  freshness: Freshness | undefined
  verdicts: Verdicts | undefined
  failure: PipelineError | undefined
}

/** The report of a run, as far as the run got, without credentials. */
export function describeRun(run: Run): Report {
  const { request, runFolder, plan, startedAt, failure } = run
  const durationSeconds = run.elapsedSeconds()
  // Not from the host's clock, which may have been set in the meantime.
  const finishedAt = new Date(startedAt.getTime() + durationSeconds * 1000)
  const interrupted = failure?.exitCode === exitCodes.interrupted
  return redactAll({
    version: reportVersion,
    run: {
      id: runFolder.id,
      status: failure === undefined ? 'succeeded' : interrupted ? 'interrupted' : 'failed',
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
      durationSeconds,
      // Cut only after redaction: half a login is not recognized as one.
      command: redactAll([...request.command])
        .slice(0, mostWords)
        .map((word) => word.slice(0, mostWordCharacters)),
      ...(failure === undefined ? {} : { failure: describeFailure(failure) }),
    },
    host: {
      accelerator: run.accelerator?.accelerator ?? null,
      acceleratorReason: run.accelerator?.reason ?? null,
      cpus: availableParallelism(),
      memoryMiB: Math.round(totalmem() / 1024 ** 2),
      tools: run.tools.versions,
    },
    ...(request.source === undefined ? {} : { source: describeCheckout(request.source) }),
    pinned: {
      snapshot: plan.image.mirror.snapshot ?? null,
      lock: request.locked?.sha256 ?? null,
    },
    image: {
      name: plan.image.name,
      release: plan.image.release,
      variant: plan.image.variant,
      suite: plan.image.suite,
      arch: plan.image.arch,
      installer: plan.image.installer,
      virtualSizeBytes: plan.layout.sizeBytes,
    },
    timings: run.timings,
    ...(run.base === undefined ? {} : { base: describeBase(run.base) }),
    stages: run.stages.map((stage) => withStart(stage, run.stageStarts.get(stage.name))),
    ...(run.final === undefined ? {} : { final: describeFinal(run.final) }),
    images: [...run.images],
    ...(run.packages === undefined ? {} : { packages: run.packages.map(describePackage) }),
    ...(run.freshness === undefined ? {} : { freshness: run.freshness }),
    ...(run.verdicts === undefined
      ? {}
      : {
          verifications: [...run.verdicts.verifications],
          unusedWaivers: [...run.verdicts.unusedWaivers],
        }),
  })
}

/** A part as it appears in the report, once it has ended. */
export function timingOf(
  { name, seconds }: { readonly name: string; readonly seconds: number },
  elapsedSeconds: number,
): Report['timings'][number] {
  const startedSeconds = Math.max(0, Math.round((elapsedSeconds - seconds) * 1000) / 1000)
  return { name, startedSeconds, seconds }
}

function withStart(stage: StageResult, startedSeconds: number | undefined): StageResult {
  return startedSeconds === undefined ? stage : { ...stage, startedSeconds }
}

function describePackage({ name, version, architecture, licenses }: InputPackage) {
  return { name, version, architecture, licenses: [...licenses] }
}

function describeBase({ key, sha256, sizeBytes, origin }: Layer): NonNullable<Report['base']> {
  return { key, sha256, sizeBytes, ...(origin === undefined ? {} : { origin }) }
}

function describeFinal({ key, sha256, sizeBytes }: Layer): NonNullable<Report['final']> {
  return { key, sha256, sizeBytes }
}

function describeCheckout({ changed, ...source }: Source): NonNullable<Report['source']> {
  return { ...source, changed: [...changed] }
}

/** How far a run of stages has come, and its outcome. */

import type { PipelineError } from '../errors.ts'
import type { PlannedStage } from '../plan/plan.ts'
import type { Acceleration } from '../qemu/machine.ts'
import type { StageResult } from '../report/report.ts'
import { stateNotResumedCode } from './failures.ts'
import type { StageOutcome } from './recorder.ts'
import { resultOfSkipped } from './results.ts'
import type { Start } from './run-events.ts'

/** What stays the same during a run. */
export interface RunFacts {
  /** The stages that run, in order. */
  readonly stages: readonly PlannedStage[]
  readonly start: Start
  /** Whether a person decides what happens after a failed stage. */
  readonly holdsFailures: boolean
  readonly accelerator: Acceleration['accelerator']
  readonly estimate: (name: string) => number | undefined
  /** Path of a stage's log. */
  readonly logOf: (stage: string) => string
  /** The same path, relative to `out/`. */
  readonly reportedLogOf: (stage: string) => string
  readonly packerLog: string
  readonly storeFolder: string
}

/** A running timer, and the failure if it fires. */
export interface Timer {
  readonly id: string
  readonly failure: PipelineError
}

export interface RunState {
  readonly facts: RunFacts
  /** Whether the guest is still resuming. */
  readonly isResuming: boolean
  /** The stage that began last. */
  readonly stage: string | undefined
  /** The stage that is running. */
  readonly running: string | undefined
  /** Whether the last stage has ended, so that the guest may end too. */
  readonly isShuttingDown: boolean
  /** Whether the guest powered itself off, and whether it was supposed to. */
  readonly powerOff: 'none' | 'early' | 'expected'
  /** Stages that succeeded and whose layers are kept. */
  readonly outcomes: readonly StageOutcome[]
  /** The checkpoint that Packer waits for although its stage has not ended yet. */
  readonly asked: string | undefined
  /** The failed stage that a person is inspecting. */
  readonly held: { readonly name: string; readonly error: PipelineError } | undefined
  /** Failed stages after which a person let the run continue. */
  readonly wentOnAfter: readonly string[]
  readonly timers: readonly Timer[]
  readonly results: readonly StageResult[]
  /** The first thing that went wrong. Later failures are its consequences and do not matter. */
  readonly failure: PipelineError | undefined
  readonly isOver: boolean
}

export function initialState(facts: RunFacts): RunState {
  return {
    facts,
    isResuming: facts.start === 'resume',
    stage: undefined,
    running: undefined,
    isShuttingDown: false,
    powerOff: 'none',
    outcomes: [],
    asked: undefined,
    held: undefined,
    wentOnAfter: [],
    timers: [],
    results: [],
    failure: undefined,
    isOver: false,
  }
}

export interface RunOutcome {
  /** One for each stage to run. */
  readonly results: readonly StageResult[]
  readonly failure: PipelineError | undefined
  /** Whether nothing is lost yet and another boot may succeed. */
  readonly isWorthAnotherBoot: boolean
  /** Whether the saved state is useless: one that fails to resume once always will. */
  readonly isStateBroken: boolean
}

export function outcomeOf({ facts, results, failure, isResuming, stage }: RunState): RunOutcome {
  const isOfState = failure?.code === stateNotResumedCode
  const isEmulatedPanic = failure?.code === 'guest-panicked' && facts.accelerator === 'tcg'
  return {
    results: facts.stages.map(
      (planned) => results.find(({ name }) => name === planned.name) ?? resultOfSkipped(planned),
    ),
    failure,
    isWorthAnotherBoot: isOfState || (isEmulatedPanic && stage === undefined),
    isStateBroken: isOfState || (isResuming && failure?.code !== 'interrupted'),
  }
}

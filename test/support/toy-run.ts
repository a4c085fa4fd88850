/** Runs of toy stages for tests: events go in, and the response to them comes out. */

import type { PlannedStage } from '../../src/plan/plan.ts'
import type { StageOutcome } from '../../src/stages/recorder.ts'
import { reduce } from '../../src/stages/reduce.ts'
import type { PackerEnded, RunEffect, RunEvent } from '../../src/stages/run-events.ts'
import {
  initialState,
  outcomeOf,
  type RunFacts,
  type RunOutcome,
  type RunState,
} from '../../src/stages/run-state.ts'
import type { Layer } from '../../src/store/layer-record.ts'

export const toyStages = ['one', 'two', 'three'] as const

export const toyFacts: RunFacts = {
  stages: toyStages.map(
    (name) =>
      ({ name, key: `key of ${name}`, stage: { script: `${name}.sh`, timeoutSeconds: 100 } }) as PlannedStage,
  ),
  start: 'boot',
  holdsFailures: false,
  accelerator: 'tcg',
  estimate: () => undefined,
  logOf: (stage) => `/out/runs/1/${stage}.log`,
  reportedLogOf: (stage) => `runs/1/${stage}.log`,
  packerLog: '/out/runs/1/packer-debug.log',
  storeFolder: '/out/store',
}

export const toyConsole = { lines: ['the last words'], log: '/out/runs/1/serial.log' }

export const toyOutcome = (name: string, exitStatus = 0): StageOutcome => ({
  name,
  exitStatus,
  buildTimeSeconds: 1,
  artifacts: [],
  missing: [],
  packages: { added: [], removed: [], upgraded: [] },
  lastLines: [],
})

const toyLayer = (name: string) =>
  ({
    ...toyOutcome(name),
    key: `key of ${name}`,
    log: '',
    bytesWritten: 1,
    sha256: '',
    sizeBytes: 1,
  }) as unknown as Layer

/** Events in few words. */
export const the = {
  started: { kind: 'started' },
  resumed: { kind: 'guest-resumed' },
  resumeFailed: { kind: 'resume-failed', cause: new Error('QEMU ended during query-status') },
  poweredOff: { kind: 'guest-powered-off' },
  qemuEnded: { kind: 'qemu-ended', console: toyConsole },
  interrupted: { kind: 'interrupted' },
  goOn: { kind: 'decided', decision: 'go on' },
  stop: { kind: 'decided', decision: 'stop' },
  retry: { kind: 'decided', decision: 'retry' },
  holdFailed: { kind: 'hold-failed', cause: new Error('QEMU forwards no port') },
  began: (name: string) => ({ kind: 'stage-began', name }),
  output: (name: string, text: string) => ({ kind: 'stage-output', name, text }),
  ended: (name: string, exitStatus = 0) => ({ kind: 'stage-ended', outcome: toyOutcome(name, exitStatus) }),
  asked: (name: string) => ({ kind: 'checkpoint-asked', name }),
  taken: (name: string) => ({ kind: 'checkpoint-taken', name }),
  notTaken: (name: string) => ({ kind: 'checkpoint-failed', name, cause: new Error('QEMU refused') }),
  sealed: (name: string) => ({ kind: 'layer-sealed', layer: toyLayer(name) }),
  notSealed: (name: string) => ({ kind: 'seal-failed', name, cause: new Error('EIO: i/o error') }),
  fired: (id: string) => ({ kind: 'timer-fired', id }),
  packer: (exitCode: number | null, errors: readonly string[] = []): PackerEnded => ({
    kind: 'packer-ended',
    exitCode,
    signal: exitCode === null ? 'SIGKILL' : null,
    errors,
    console: toyConsole,
  }),
  settled: (cutOff?: string) => ({
    kind: 'settled',
    cutOff: cutOff === undefined ? undefined : toyOutcome(cutOff, -1),
  }),
} as const satisfies Record<string, RunEvent | ((...words: never[]) => RunEvent)>

export interface ToyRun extends RunOutcome {
  readonly state: RunState
  readonly effects: readonly RunEffect[]
  /** The effects of the last event. */
  readonly last: readonly RunEffect[]
  /** The report's status for each stage. */
  readonly statuses: readonly string[]
}

/** Makes events happen one after another. */
export function happen(facts: Partial<RunFacts>, ...events: readonly RunEvent[]): ToyRun {
  let state = initialState({ ...toyFacts, ...facts })
  let last: readonly RunEffect[] = []
  const effects: RunEffect[] = []
  for (const event of events) {
    ;[state, last] = reduce(state, event)
    effects.push(...last)
  }
  const outcome = outcomeOf(state)
  return { ...outcome, state, effects, last, statuses: outcome.results.map(({ status }) => status) }
}

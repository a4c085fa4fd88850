/** The small moves that make up decisions about a run. */

import type { ErrorCode } from '../error-codes.ts'
import type { PipelineError } from '../errors.ts'
import type { StageResult } from '../report/report.ts'
import { stateNotResumed, stateNotResumedCode } from './failures.ts'
import type { RunEffect } from './run-events.ts'
import type { RunState, Timer } from './run-state.ts'

export type Next = readonly [state: RunState, effects: readonly RunEffect[]]

/** Part of the response to an event: a new state, and effects. */
export type Move = (state: RunState) => Next

/** Several moves, one after another. */
export const all =
  (...moves: readonly Move[]): Move =>
  (state) =>
    moves.reduce<Next>(
      ([before, effects], move) => {
        const [after, more] = move(before)
        return [after, [...effects, ...more]]
      },
      [state, []],
    )

export const stay: Move = (state) => [state, []]

export const act =
  (...effects: readonly RunEffect[]): Move =>
  (state) => [state, effects]

export const set =
  (changes: Partial<RunState>): Move =>
  (state) => [{ ...state, ...changes }, []]

/** Starts a timer, unless the run has failed. */
export const startTimer =
  (id: string, seconds: number, failure: PipelineError): Move =>
  (state) =>
    state.failure === undefined
      ? [{ ...state, timers: [...state.timers, { id, failure }] }, [{ kind: 'start-timer', id, seconds }]]
      : [state, []]

export const clearTimers =
  (isMeant: (timer: Timer) => boolean = () => true): Move =>
  (state) => [
    { ...state, timers: state.timers.filter((timer) => !isMeant(timer)) },
    state.timers.filter(isMeant).map(({ id }) => ({ kind: 'clear-timer', id })),
  ]

/** Reports a stage's result. */
export const finish =
  (stage: StageResult): Move =>
  (state) => [
    { ...state, results: [...state.results, stage] },
    [{ kind: 'report', event: { kind: 'stage-finished', stage } }],
  ]

/** Never caused by the saved state from which a guest resumes, whenever they happen. */
const notOfState: readonly ErrorCode[] = ['interrupted', 'packer-died', stateNotResumedCode]

/** Ends the run, unless something has already gone wrong. */
export const fail =
  (error: PipelineError): Move =>
  (state) => {
    if (state.failure !== undefined) return [state, []]
    const isOfState = state.isResuming && !notOfState.includes(error.code)
    const failure = isOfState ? stateNotResumed(error) : error
    return all(clearTimers(), set({ failure }), act({ kind: 'stop-packer' }))(state)
  }

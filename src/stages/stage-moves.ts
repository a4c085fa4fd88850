/** What follows when a guest starts, a stage begins or ends, or Packer makes a request or ends. */

import { packerFailed, packerSilent } from '../packer/failures.ts'
import { opening } from '../packer/template.ts'
import type { PlannedStage } from '../plan/plan.ts'
import { guestLost, guestVanished, stageFailed, stageTimedOut, stateNotResumed, wentOn } from './failures.ts'
import { act, all, clearTimers, fail, finish, type Move, set, startTimer, stay } from './moves.ts'
import type { StageOutcome } from './recorder.ts'
import { resultOfFailed, resultOfUnkept } from './results.ts'
import type { PackerEnded } from './run-events.ts'
import type { RunFacts, Timer } from './run-state.ts'

/** How long Packer may take between stages, or to shut the guest down. */
const gapSeconds = 180

/** How long a guest may take to resume before it is booted instead. */
const resumeSeconds = 30
const resumeTimer = 'resume'

export const isResumeTimer = ({ id }: Timer) => id === resumeTimer

const clearStageTimer = clearTimers((timer) => !isResumeTimer(timer))

/** What the report calls the time until the first stage. */
const startParts = { boot: 'boot', resume: 'wake' } as const

function stageOf({ stages }: RunFacts, name: string): PlannedStage {
  const stage = stages.find((planned) => planned.name === name)
  if (stage === undefined) throw new Error(`"${name}" is no stage of this run`)
  return stage
}

const isLast = ({ stages }: RunFacts, name: string) => name === stages.at(-1)?.name

export const start: Move = (state) => {
  const startPart = act({ kind: 'start-part', name: startParts[state.facts.start] })
  if (state.facts.start === 'boot') return startPart(state)
  const tooLate = stateNotResumed(`not within ${resumeSeconds} s`)
  return all(startPart, act({ kind: 'resume-guest' }), startTimer(resumeTimer, resumeSeconds, tooLate))(state)
}

export const begin =
  (name: string): Move =>
  (state) => {
    const { facts } = state
    const limitSeconds = stageOf(facts, name).stage.timeoutSeconds
    const hasBooted = act(
      { kind: 'end-boot-watch' },
      { kind: 'finish-part', name: startParts[facts.start], text: facts.accelerator },
    )
    const estimateSeconds = facts.estimate(name)
    return all(
      clearStageTimer,
      state.stage === undefined ? hasBooted : stay,
      set({ stage: name, running: name, held: undefined }),
      act({ kind: 'report', event: { kind: 'stage-started', name, estimateSeconds } }),
      startTimer(`stage ${name}`, limitSeconds, stageTimedOut(name, limitSeconds, facts.logOf(name))),
    )(state)
  }

export const end = (outcome: StageOutcome): Move =>
  all(
    clearStageTimer,
    set({ running: undefined }),
    outcome.exitStatus === 0 ? succeed(outcome) : breakOff(outcome),
  )

const succeed =
  (outcome: StageOutcome): Move =>
  (state) => {
    const { facts, asked } = state
    const { name } = outcome
    const isKept = state.wentOnAfter.length === 0
    const silent = packerSilent(`stage ${name}`, gapSeconds, facts.packerLog)
    return all(
      isKept
        ? set({ outcomes: [...state.outcomes, outcome] })
        : finish(resultOfUnkept(stageOf(facts, name), outcome, facts.reportedLogOf(name))),
      isKept && asked === name ? act({ kind: 'take-checkpoint', name }) : stay,
      startTimer(`after ${name}`, gapSeconds, silent),
      shutDownAfter(name),
    )(state)
  }

const breakOff =
  (outcome: StageOutcome): Move =>
  (state) => {
    const { facts } = state
    const { name } = outcome
    const stage = stageOf(facts, name)
    const error = stageFailed(outcome, stage.stage.script, facts.logOf(name))
    const hold = all(set({ held: { name, error } }), act({ kind: 'hold', name, failure: error }))
    return all(
      finish(resultOfFailed(stage, outcome, error, facts.reportedLogOf(name))),
      facts.holdsFailures && state.failure === undefined ? hold : fail(error),
    )(state)
  }

/** A person accepts a failed stage as successful. */
export const goOn =
  (name: string): Move =>
  (state) =>
    all(
      set({ wentOnAfter: [...state.wentOnAfter, name] }),
      act({ kind: 'release' }),
      shutDownAfter(name),
    )(state)

/** Packer shuts the guest down after the last stage. */
const shutDownAfter =
  (name: string): Move =>
  (state) =>
    isLast(state.facts, name) && state.failure === undefined
      ? all(
          set({ isShuttingDown: true }),
          act({ kind: 'start-part', name: 'shutdown' }, { kind: 'measure-last' }),
        )(state)
      : [state, []]

export const askCheckpoint =
  (name: string): Move =>
  (state) => {
    const { start } = state.facts
    if (name === opening) return [state, [{ kind: 'take-opening', start, part: startParts[start] }]]
    if (state.wentOnAfter.length > 0) return [state, [{ kind: 'answer-checkpoint', name }]]
    // Packer's request may overtake the stage's last lines.
    const hasEnded = state.outcomes.some((outcome) => outcome.name === name)
    return hasEnded ? [state, [{ kind: 'take-checkpoint', name }]] : [{ ...state, asked: name }, []]
  }

/** Records the layer whose disk a checkpoint has sealed. */
export const record =
  (name: string): Move =>
  (state) => {
    if (name === opening) return [state, [{ kind: 'record-opening' }]]
    const outcome = state.outcomes.find((ended) => ended.name === name)
    return [state, outcome === undefined ? [] : [{ kind: 'record-layer', outcome }]]
  }

export const endPacker =
  (event: PackerEnded): Move =>
  (state) => {
    const { facts, running, stage, wentOnAfter, powerOff } = state
    const { exitCode, errors, console } = event
    const why =
      powerOff === 'early'
        ? guestVanished(stage, console)
        : packerFailed(running, event, errors, facts.packerLog)
    return all(
      clearTimers(),
      exitCode === 0 ? stay : fail(why),
      wentOnAfter.length === 0 ? stay : fail(wentOn(wentOnAfter)),
      // To Packer, a killed QEMU looks like a guest that has shut down.
      powerOff === 'expected' ? stay : fail(guestLost(console)),
      recordLast,
    )(state)
  }

/** The last stage's disk has no checkpoint: it is sealed when the guest ends. */
const recordLast: Move = (state) => {
  const outcome = state.outcomes.at(-1)
  if (state.failure !== undefined || outcome === undefined) return [state, []]
  return act({ kind: 'finish-part', name: 'shutdown' }, { kind: 'record-layer', outcome })(state)
}

/** A stage that was cut off failed because of whatever ended the run. */
export const cutOff =
  (outcome: StageOutcome): Move =>
  (state) => {
    const { failure, facts } = state
    if (failure === undefined) return [state, []]
    const { name } = outcome
    return finish(resultOfFailed(stageOf(facts, name), outcome, failure, facts.reportedLogOf(name)))(state)
  }

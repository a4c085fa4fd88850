/** A toy world around a run: a guest, Packer, QEMU, a store and a person, in which anything that can happen sometimes does. */

import { PipelineError } from '../../src/errors.ts'
import { opening } from '../../src/packer/template.ts'
import { reduce } from '../../src/stages/reduce.ts'
import type { RunEffect, RunEvent } from '../../src/stages/run-events.ts'
import { initialState, type RunFacts, type RunState } from '../../src/stages/run-state.ts'
import { the, toyFacts, toyStages } from './toy-run.ts'

/** One event, and the response to it. */
export interface Chapter {
  readonly event: RunEvent
  readonly effects: readonly RunEffect[]
  readonly before: RunState
  readonly after: RunState
}

type Stage = (typeof toyStages)[number]

/**
 * Simulates one run.
 * @param draw a number from 0 to 1 for everything that is left to chance
 */
export function live(draw: () => number): readonly Chapter[] {
  const chance = (share: number) => draw() < share
  const facts: RunFacts = {
    ...toyFacts,
    start: chance(0.5) ? 'resume' : 'boot',
    holdsFailures: chance(0.3),
    accelerator: chance(0.5) ? 'kvm' : 'tcg',
  }
  const accidents = chance(0.7) ? 0.04 : 0
  const chapters: Chapter[] = []
  const timers = new Set<string>()
  /** Results of work alongside Packer, each of which may arrive at any time. */
  const pending: (() => RunEvent)[] = []
  let state = initialState(facts)
  let isStopping = false
  let isAnswered = false
  let hasError = false
  let isReleased = false
  let running: Stage | undefined

  const fails = () => chance(accidents * 2)
  const perform = (effect: RunEffect): void => {
    switch (effect.kind) {
      case 'resume-guest':
        return void pending.push(() => (fails() ? the.resumeFailed : the.resumed))
      case 'take-opening':
        return void pending.push(() => (fails() ? the.notTaken(opening) : the.taken(opening)))
      case 'take-checkpoint':
        return void pending.push(() => (fails() ? the.notTaken(effect.name) : the.taken(effect.name)))
      case 'record-layer':
        return void pending.push(() =>
          fails() ? the.notSealed(effect.outcome.name) : the.sealed(effect.outcome.name),
        )
      case 'hold':
        return void pending.push(() =>
          fails() ? the.holdFailed : chance(0.6) ? the.goOn : chance(0.5) ? the.stop : the.retry,
        )
      case 'release':
        isReleased = !fails()
        if (!isReleased) pending.push(() => the.holdFailed)
        return
      case 'answer-checkpoint':
        isAnswered = true
        hasError = effect.error !== undefined
        return
      case 'start-timer':
        return void timers.add(effect.id)
      case 'clear-timer':
        return void timers.delete(effect.id)
      case 'stop-packer':
        isStopping = true
        return
    }
  }
  const happen = (event: RunEvent): void => {
    const before = state
    const [after, effects] = reduce(before, event)
    state = after
    chapters.push({ event, effects, before, after })
    for (const effect of effects) perform(effect)
  }

  /** What can happen at any moment, if anything does. */
  const accident = (): RunEvent | undefined => {
    if (!chance(accidents)) return undefined
    const error = new PipelineError({ code: chance(0.5) ? 'guest-panicked' : 'disk-full', message: 'toy' })
    const fired = [...timers].at(Math.floor(draw() * timers.size))
    const kinds: readonly RunEvent[] = [
      the.interrupted,
      the.qemuEnded,
      the.poweredOff,
      { kind: 'guest-failed', error },
      { kind: 'log-failed', error },
      // A timer that was cleared in the same tick may still fire.
      the.fired(fired ?? `stage ${toyStages[0]}`),
    ]
    const event = kinds.at(Math.floor(draw() * kinds.length))
    if (event?.kind === 'timer-fired') timers.delete(event.id)
    return event
  }

  /** Other things happen until it is Packer's turn. */
  const meanwhile = (): void => {
    for (;;) {
      const event = accident()
      if (event !== undefined) happen(event)
      else if (pending.length > 0 && chance(0.5)) {
        const [next] = pending.splice(Math.floor(draw() * pending.length), 1)
        if (next !== undefined) happen(next())
      } else return
    }
  }
  /** Waits the way Packer does; returns false if it is stopped while waiting. */
  const wait = (isDone: () => boolean): boolean => {
    while (!isDone()) {
      meanwhile()
      if (isStopping && chance(0.5)) return false
      if (!isDone() && pending.length === 0) return false
    }
    return true
  }
  const askCheckpoint = (name: string, beforeAnswer?: () => void): boolean => {
    isAnswered = false
    happen(the.asked(name))
    meanwhile()
    beforeAnswer?.()
    return wait(() => isAnswered) && !hasError
  }

  const workThroughStages = (): boolean => {
    if (!askCheckpoint(opening)) return false
    for (const [index, name] of toyStages.entries()) {
      meanwhile()
      if (isStopping && chance(0.5)) return false
      happen(the.began(name))
      running = name
      meanwhile()
      happen(the.output(name, 'hello'))
      meanwhile()
      if (isStopping && chance(0.7)) return false
      // The last line of a stage may be read after the request for its checkpoint.
      const hasFailed = chance(accidents * 3)
      const end = () => {
        running = undefined
        happen(the.ended(name, hasFailed ? 7 : 0))
      }
      const isLast = index === toyStages.length - 1
      if (hasFailed) {
        isReleased = false
        end()
        if (!wait(() => isReleased)) return false
        if (!isLast && !askCheckpoint(name)) return false
      } else {
        const isLate = !isLast && chance(0.3)
        if (!isLate) end()
        if (!isLast && !askCheckpoint(name, isLate ? end : undefined)) return false
      }
    }
    meanwhile()
    if (chance(1 - accidents)) happen(the.poweredOff)
    meanwhile()
    if (chance(0.5)) happen(the.qemuEnded)
    return !isStopping
  }

  happen(the.started)
  const isDone = workThroughStages()
  happen(the.packer(isDone ? 0 : chance(0.5) ? 1 : null))
  while (pending.length > 0) {
    const event = accident()
    // By then, everything is taken down, including timers and signals.
    if (event?.kind === 'guest-failed') happen(event)
    const [next] = pending.splice(Math.floor(draw() * pending.length), 1)
    if (next !== undefined) happen(next())
  }
  happen(the.settled(running))
  for (const late of [the.interrupted, the.qemuEnded, the.sealed('one'), the.fired('stage one')]) happen(late)
  return chapters
}

/** Decides what an event means for a run of stages. Pure: returns the effects to perform as data. */

import { messageOf, unreachable } from '../errors.ts'
import { interrupted } from '../host/failures.ts'
import { opening } from '../packer/template.ts'
import { guestVanished, sealFailed, stateNotResumed } from './failures.ts'
import { act, all, clearTimers, fail, finish, type Move, type Next, set, stay } from './moves.ts'
import { resultOfLayer } from './results.ts'
import type { RunEvent } from './run-events.ts'
import type { RunState } from './run-state.ts'
import {
  askCheckpoint,
  begin,
  cutOff,
  end,
  endPacker,
  goOn,
  isResumeTimer,
  record,
  start,
} from './stage-moves.ts'

export function reduce(state: RunState, event: RunEvent): Next {
  return state.isOver ? [state, []] : decide(state, event)(state)
}

function decide(state: RunState, event: RunEvent): Move {
  const { facts, failure, held } = state
  switch (event.kind) {
    case 'started':
      return start
    case 'guest-resumed':
      return all(clearTimers(isResumeTimer), set({ isResuming: false }))
    case 'resume-failed':
      return fail(stateNotResumed(event.cause))
    case 'guest-ready':
      return stay
    case 'guest-failed':
    case 'log-failed':
      return fail(event.error)
    case 'guest-powered-off':
      return set({ powerOff: state.isShuttingDown ? 'expected' : 'early' })
    case 'qemu-ended':
      return state.isShuttingDown ? stay : fail(guestVanished(state.stage, event.console))
    case 'stage-began':
      return begin(event.name)
    case 'stage-output':
      return act({ kind: 'append-log', name: event.name, text: event.text }, { kind: 'report', event })
    case 'stage-ended':
      return end(event.outcome)
    case 'checkpoint-asked':
      return askCheckpoint(event.name)
    case 'checkpoint-taken':
      return all(record(event.name), act({ kind: 'answer-checkpoint', name: event.name }))
    case 'checkpoint-failed': {
      const { name, cause } = event
      const answer = act({ kind: 'answer-checkpoint', name, error: messageOf(cause) })
      // Nothing is sealed before the first stage: the error in the response only makes Packer end.
      return name === opening ? answer : all(fail(sealFailed(name, cause, facts.storeFolder)), answer)
    }
    case 'layer-sealed':
      return finish(resultOfLayer(event.layer, 'ran'))
    case 'seal-failed':
      return fail(sealFailed(event.name, event.cause, facts.storeFolder))
    case 'decided':
      if (held === undefined || failure !== undefined) return stay
      return event.decision === 'go on' ? goOn(held.name) : fail(held.error)
    case 'hold-failed': {
      if (held === undefined || failure !== undefined) return stay
      const text = `cannot open a shell in the guest: ${messageOf(event.cause)}`
      return all(act({ kind: 'report', event: { kind: 'note', text } }), fail(held.error))
    }
    case 'timer-fired': {
      const fired = state.timers.find(({ id }) => id === event.id)
      if (fired === undefined) return stay
      return all(set({ timers: state.timers.filter((timer) => timer !== fired) }), fail(fired.failure))
    }
    case 'interrupted':
      return fail(interrupted())
    case 'packer-ended':
      return endPacker(event)
    case 'settled':
      return all(event.cutOff === undefined ? stay : cutOff(event.cutOff), set({ isOver: true }))
    default:
      return unreachable(event)
  }
}

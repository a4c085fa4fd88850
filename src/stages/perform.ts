/** Carries out decisions about a run: the only code that acts on processes, sockets, timers and files. */

import { unreachable } from '../errors.ts'
import { opening } from '../packer/template.ts'
import { loadState } from '../qemu/suspend.ts'
import { forwardSsh, type HeldStage } from './hold.ts'
import type { RunEffect, RunEvent } from './run-events.ts'
import type { Equipment, StagesRequest } from './set-up.ts'

/** What effects act on. */
export interface Handles extends Pick<Equipment, 'log' | 'parts' | 'sealer' | 'channel'> {
  readonly request: Pick<StagesRequest, 'states' | 'decide' | 'signal' | 'emit'> & {
    readonly parent: Pick<StagesRequest['parent'], 'name'>
  }
  readonly guest: Pick<Equipment['guest'], 'state' | 'renewal' | 'privateKey'>
  readonly watch: Pick<Equipment['watch'], 'connected' | 'endBoot'>
  readonly server: Pick<Equipment['server'], 'answer'>
  readonly suspender: Pick<Equipment['suspender'], 'started'>
  readonly timers: Pick<Equipment['timers'], 'start' | 'clear'>
  readonly tasks: Pick<Equipment['tasks'], 'add'>
  readonly packer: Pick<Equipment['packer'], 'stop'>
  readonly send: (event: RunEvent) => void
}

/** Starts what an effect requests, and returns. The result arrives as an event. */
export function perform(handles: Handles, effect: RunEffect): void {
  const { request, tasks, sealer, parts } = handles
  switch (effect.kind) {
    case 'resume-guest':
      return tasks.add(resume(handles))
    case 'end-boot-watch':
      return handles.watch.endBoot()
    case 'take-opening':
      handles.suspender.started(effect.start, parts.seconds(effect.part))
      return tasks.add(reportCheckpoint(handles, opening, sealer.opening()))
    case 'record-opening':
      return tasks.add(reportFailure(handles, request.parent.name, sealer.recordOpening()))
    case 'take-checkpoint':
      return tasks.add(reportCheckpoint(handles, effect.name, sealer.checkpoint(effect.name)))
    case 'answer-checkpoint':
      return handles.server.answer(effect.name, effect.error)
    case 'record-layer':
      return tasks.add(reportFailure(handles, effect.outcome.name, sealer.record(effect.outcome)))
    case 'measure-last':
      return tasks.add(sealer.measureLast())
    case 'hold':
      // Not a task: a person may take longer than the run.
      return void hold(handles, effect)
    case 'release':
      return tasks.add(release(handles))
    case 'stop-packer':
      return tasks.add(handles.packer.stop())
    case 'start-timer':
      return handles.timers.start(effect.id, effect.seconds)
    case 'clear-timer':
      return handles.timers.clear(effect.id)
    case 'start-part':
      return parts.start(effect.name)
    case 'finish-part':
      return parts.finish(effect.name, effect.text)
    case 'append-log':
      return handles.log(effect.name, effect.text)
    case 'report':
      return request.emit(effect.event)
    default:
      return unreachable(effect)
  }
}

async function resume({ request, watch, channel, guest, send }: Handles): Promise<void> {
  try {
    if (guest.state === undefined) throw new Error('there is no saved state')
    await loadState(await watch.connected(), request.states.memory(guest.state.key))
    await (await channel).resume(guest.renewal)
    send({ kind: 'guest-resumed' })
  } catch (cause) {
    send({ kind: 'resume-failed', cause })
  }
}

async function reportCheckpoint({ send }: Handles, name: string, taken: Promise<void>): Promise<void> {
  try {
    await taken
    send({ kind: 'checkpoint-taken', name })
  } catch (cause) {
    send({ kind: 'checkpoint-failed', name, cause })
  }
}

async function reportFailure({ send }: Handles, name: string, recorded: Promise<void>): Promise<void> {
  await recorded.catch((cause) => send({ kind: 'seal-failed', name, cause }))
}

async function hold(
  { request, watch, guest, send }: Handles,
  { name, failure }: Pick<HeldStage, 'name' | 'failure'>,
): Promise<void> {
  try {
    const { decide, signal } = request
    if (decide === undefined) throw new Error('there is no terminal to ask on')
    const port = await forwardSsh(await watch.connected())
    send({
      kind: 'decided',
      decision: await decide({ name, failure, port, privateKey: guest.privateKey }, signal),
    })
  } catch (cause) {
    send({ kind: 'hold-failed', cause })
  }
}

async function release({ channel, send }: Handles): Promise<void> {
  try {
    await (await channel).release()
  } catch (cause) {
    send({ kind: 'hold-failed', cause })
  }
}

import { EventEmitter } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { GuestClock } from '../../../src/qemu/guest-clock.ts'
import { type Handles, perform } from '../../../src/stages/perform.ts'
import type { RunEffect, RunEvent } from '../../../src/stages/run-events.ts'
import { createTasks } from '../../../src/stages/tasks.ts'
import { createTimers } from '../../../src/stages/timers.ts'
import { the, toyOutcome } from '../../support/toy-run.ts'

afterEach(() => {
  vi.useRealTimers()
})

/** Time as the host has it, which fake timers pass. */
const hostClock: Pick<GuestClock, 'sleep'> = {
  sleep: (seconds, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, seconds * 1000)
      signal?.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(signal.reason)
      })
    }),
}
const nothing = async () => undefined
const refuse = async () => {
  throw new Error('no')
}

/** Handles of toys that do as they are told, unless a test says otherwise. */
function handles(over: Partial<Handles> = {}) {
  const sent: RunEvent[] = []
  const tasks = createTasks()
  const execute = async (command: string) => (command === 'query-status' ? { status: 'paused' } : '')
  const sealer = {
    opening: nothing,
    recordOpening: nothing,
    checkpoint: nothing,
    measureLast: nothing,
    record: nothing,
  }
  const ready: Handles = {
    log: () => undefined,
    parts: { start: () => undefined, seconds: () => 3, finish: () => undefined },
    sealer,
    channel: Promise.resolve({
      freeze: nothing,
      thaw: nothing,
      suspend: nothing,
      resume: nothing,
      release: nothing,
    }),
    request: {
      // Any file that is there: nobody reads it.
      states: { memory: () => fileURLToPath(import.meta.url) } as unknown as Handles['request']['states'],
      decide: async () => 'retry',
      signal: new AbortController().signal,
      emit: () => undefined,
      parent: { name: 'base' },
    },
    guest: {
      state: { key: 'state' } as Handles['guest']['state'],
      renewal: Buffer.alloc(0),
      privateKey: 'key',
    },
    watch: {
      connected: async () => ({ execute, events: new EventEmitter(), close: () => undefined }),
      endBoot: () => undefined,
    },
    server: { answer: () => undefined },
    suspender: { started: () => undefined },
    timers: createTimers((id) => sent.push(the.fired(id)), hostClock),
    tasks,
    packer: { stop: nothing },
    send: (event) => sent.push(event),
    ...over,
  }
  const act = async (effect: RunEffect) => {
    perform(ready, effect)
    await tasks.settled()
    return sent
  }
  return { act, sent, ready, sealer }
}

const failed = (kind: string, more: object = {}) => [
  { kind, cause: expect.objectContaining({ message: 'no' }), ...more },
]

describe('an effect', () => {
  it('that resumes the guest tells how that ended', async () => {
    expect(await handles().act({ kind: 'resume-guest' })).toEqual([the.resumed])
    const dead = handles({ watch: { connected: refuse, endBoot: () => undefined } })
    expect(await dead.act({ kind: 'resume-guest' })).toEqual(failed('resume-failed'))
  })

  it('that takes a checkpoint tells of it by its name', async () => {
    expect(await handles().act({ kind: 'take-checkpoint', name: 'one' })).toEqual([the.taken('one')])
    const { sealer } = handles()
    const broken = handles({ sealer: { ...sealer, checkpoint: refuse } })
    const expected = failed('checkpoint-failed', { name: 'one' })
    expect(await broken.act({ kind: 'take-checkpoint', name: 'one' })).toEqual(expected)
  })

  it('that suspends the guest before the first stage passes on how long it took to come up', async () => {
    const started = vi.fn()
    const { act } = handles({ suspender: { started } })
    expect(await act({ kind: 'take-opening', start: 'boot', part: 'boot' })).toEqual([the.taken('@opening')])
    expect(started).toHaveBeenCalledWith('boot', 3)
  })

  it.each([
    ['record-layer', 'one'],
    ['record-opening', 'base'],
  ])('that can not be carried out by the store names the layer: %s', async (kind, name) => {
    const { sealer } = handles()
    const { act } = handles({ sealer: { ...sealer, record: refuse, recordOpening: refuse } })
    const effect = { kind, outcome: toyOutcome('one') } as RunEffect
    expect(await act(effect)).toEqual(failed('seal-failed', { name }))
  })

  it('that starts a timer has it fire, unless it is cleared', async () => {
    vi.useFakeTimers()
    const { ready, sent } = handles()
    for (const id of ['kept', 'cleared']) perform(ready, { kind: 'start-timer', id, seconds: 30 })
    perform(ready, { kind: 'clear-timer', id: 'cleared' })
    vi.advanceTimersByTime(29_999)
    expect(sent).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(sent).toEqual([the.fired('kept')])
  })

  it('that holds a stage passes a decision on, and does not keep the run from ending', async () => {
    const failure = new Error('failed') as never
    const { act, sent } = handles()
    await act({ kind: 'hold', name: 'one', failure })
    await expect.poll(() => sent).toEqual([the.retry])
    const { ready } = handles()
    const thinking = handles({ request: { ...ready.request, decide: () => new Promise(() => undefined) } })
    expect(await thinking.act({ kind: 'hold', name: 'one', failure })).toEqual([])
  })

  it('that releases a held stage tells when the guest does not', async () => {
    const channel = handles().ready.channel.then((open) => ({ ...open, release: refuse }))
    expect(await handles({ channel }).act({ kind: 'release' })).toEqual(failed('hold-failed'))
    expect(await handles().act({ kind: 'release' })).toEqual([])
  })
})

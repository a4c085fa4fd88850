import { describe, expect, it } from 'vitest'
import { interpret } from '../../../src/stages/interpret.ts'
import { createMailbox } from '../../../src/stages/mailbox.ts'
import type { RunEffect, RunEvent } from '../../../src/stages/run-events.ts'
import { initialState } from '../../../src/stages/run-state.ts'
import { the, toyFacts } from '../../support/toy-run.ts'

describe('a mailbox', () => {
  it('has one event handled at a time, in the order in which they came', () => {
    const { send, open } = createMailbox<number>()
    const order: string[] = []
    send(1)
    send(2)
    void open((event) => {
      order.push(`begin ${event}`)
      if (event < 3) send(event + 10)
      order.push(`end ${event}`)
    })
    send(3)
    expect(order.map((text) => text.split(' ')[1])).toEqual([1, 1, 2, 2, 11, 11, 12, 12, 3, 3].map(String))
  })

  it('rejects with a bug of its handler, and has nothing more handled', async () => {
    const { send, open } = createMailbox<number>()
    const handled: number[] = []
    const broken = open((event) => {
      handled.push(event)
      if (event === 1) throw new Error('a bug')
    })
    send(1)
    send(2)
    await expect(broken).rejects.toThrow('a bug')
    expect(handled).toEqual([1])
  })
})

describe('an interpreter', () => {
  it('has the effects of an event performed before the next event', () => {
    const mailbox = createMailbox<RunEvent>()
    const done: string[] = []
    const { state } = interpret(initialState(toyFacts), mailbox, (effect: RunEffect) => {
      done.push(effect.kind)
      if (effect.kind === 'take-opening') mailbox.send(the.taken('@opening'))
    })
    mailbox.send(the.asked('@opening'))
    expect(done).toEqual(['take-opening', 'record-opening', 'answer-checkpoint'])
    mailbox.send(the.interrupted)
    expect(state().failure?.code).toBe('interrupted')
  })

  it('breaks on an event that can not be', async () => {
    const mailbox = createMailbox<RunEvent>()
    const { broken } = interpret(initialState(toyFacts), mailbox, () => undefined)
    mailbox.send(the.began('four'))
    await expect(broken).rejects.toThrow('"four" is no stage of this run')
  })
})

import { describe, expect, it } from 'vitest'
import { diskFailed } from '../../../src/host/failures.ts'
import { guestPanicked } from '../../../src/stages/failures.ts'
import { happen, the, toyConsole } from '../../support/toy-run.ts'

/** A stage that ends well and has its checkpoint taken. */
const pass = (name: string) => [the.began(name), the.ended(name), the.asked(name), the.taken(name)]
const sealed = (name: string) => [...pass(name), the.sealed(name)]
const shutdown = [the.poweredOff, the.qemuEnded, the.packer(0)]
const panicked = { kind: 'guest-failed', error: guestPanicked(toyConsole) } as const
const full = { kind: 'log-failed', error: diskFailed(true, '/out') } as const
const resuming = { start: 'resume' } as const
const held = { holdsFailures: true } as const

const kinds = (effects: readonly { readonly kind: string }[]) => effects.map(({ kind }) => kind)

describe('a run in which nothing goes wrong', () => {
  const run = happen(
    {},
    the.started,
    the.asked('@opening'),
    the.taken('@opening'),
    ...sealed('one'),
    ...sealed('two'),
    the.began('three'),
    the.ended('three'),
    ...shutdown,
    the.sealed('three'),
    the.settled(),
  )

  it('has a layer of each stage', () => {
    expect(run.failure).toBeUndefined()
    expect(run.statuses).toEqual(['ran', 'ran', 'ran'])
    expect([run.isWorthAnotherBoot, run.isStateBroken]).toEqual([false, false])
  })

  it('does one thing after the other', () => {
    const told = run.effects.map((effect) => {
      switch (effect.kind) {
        case 'report':
          return effect.event.kind === 'stage-finished'
            ? `finished ${effect.event.stage.name}`
            : effect.event.kind
        case 'start-timer':
          return `${effect.id}: ${effect.seconds} s`
        case 'clear-timer':
          return `no ${effect.id}`
        case 'record-layer':
          return `record ${effect.outcome.name}`
        default:
          return 'name' in effect ? `${effect.kind} ${effect.name}` : effect.kind
      }
    })
    expect(told).toEqual([
      'start-part boot',
      'take-opening',
      'record-opening',
      'answer-checkpoint @opening',
      'end-boot-watch',
      'finish-part boot',
      'stage-started',
      'stage one: 100 s',
      'no stage one',
      'after one: 180 s',
      'take-checkpoint one',
      'record one',
      'answer-checkpoint one',
      'finished one',
      'no after one',
      'stage-started',
      'stage two: 100 s',
      'no stage two',
      'after two: 180 s',
      'take-checkpoint two',
      'record two',
      'answer-checkpoint two',
      'finished two',
      'no after two',
      'stage-started',
      'stage three: 100 s',
      'no stage three',
      'after three: 180 s',
      'start-part shutdown',
      'measure-last',
      'no after three',
      'finish-part shutdown',
      'record three',
      'finished three',
    ])
  })

  it('does nothing any more when it is over', () => {
    const late = [panicked, the.interrupted, the.fired('after three'), the.sealed('three'), the.settled()]
    const over = happen({}, the.started, the.settled(), ...late)
    expect(kinds(over.effects)).toEqual(['start-part'])
    expect(over.failure).toBeUndefined()
  })
})

describe('the first thing that goes wrong', () => {
  it('is a stage that fails while the layer before it is being sealed, which is kept', () => {
    const run = happen({}, the.started, ...pass('one'), the.began('two'), the.ended('two', 7))
    expect(kinds(run.last)).toEqual(['clear-timer', 'report', 'stop-packer'])
    const rest = happen(
      {},
      the.started,
      ...pass('one'),
      the.began('two'),
      the.ended('two', 7),
      the.sealed('one'),
      the.packer(1),
      the.settled(),
    )
    expect(rest.failure?.message).toBe('stage two failed with exit status 7')
    expect(rest.statuses).toEqual(['ran', 'failed', 'skipped'])
  })

  it('stays it when the layer before it can not be sealed either', () => {
    const failing = [the.began('two'), the.ended('two', 7), the.notSealed('one')]
    const run = happen({}, the.started, ...pass('one'), ...failing, the.packer(1), the.settled())
    expect(run.failure?.code).toBe('stage-failed')
    expect(run.statuses).toEqual(['skipped', 'failed', 'skipped'])
  })

  it('is a layer that can not be sealed, though the next stage has begun', () => {
    const run = happen({}, the.started, ...pass('one'), the.began('two'), the.notSealed('one'))
    expect(kinds(run.last)).toEqual(['clear-timer', 'stop-packer'])
    const rest = happen(
      {},
      the.started,
      ...pass('one'),
      the.began('two'),
      the.notSealed('one'),
      the.packer(null),
      the.settled('two'),
    )
    expect(rest.failure).toMatchObject({ code: 'seal-failed' })
    expect(rest.failure?.message).toContain('stage one')
    expect(rest.statuses).toEqual(['skipped', 'failed', 'skipped'])
    expect(rest.results[1]?.failure?.code).toBe('seal-failed')
  })

  it('is the last layer, which is sealed when everything else is over', () => {
    const last = [the.began('three'), the.ended('three'), ...shutdown, the.notSealed('three')]
    const run = happen({}, the.started, ...sealed('one'), ...sealed('two'), ...last, the.settled())
    expect(run.failure?.code).toBe('seal-failed')
    expect(run.statuses).toEqual(['ran', 'ran', 'skipped'])
  })

  it('is a disk that is full while a log is written', () => {
    const run = happen({}, the.started, the.began('one'), full, full, the.packer(null), the.settled('one'))
    expect(run.failure?.code).toBe('disk-full')
    expect(run.statuses).toEqual(['failed', 'skipped', 'skipped'])
    expect(kinds(run.effects).filter((kind) => kind === 'stop-packer')).toHaveLength(1)
  })
})

describe('a guest that ends', () => {
  it('before Packer does is what is to blame', () => {
    const during = [the.started, ...sealed('one'), the.began('two'), the.qemuEnded]
    const run = happen({}, ...during, the.packer(1, ['connection lost']), the.settled('two'))
    expect(run.failure?.code).toBe('guest-vanished')
    expect(run.failure?.message).toContain('during stage two')
    expect(run.statuses).toEqual(['ran', 'failed', 'skipped'])
  })

  it('by itself is to blame even if Packer ends first', () => {
    const run = happen({}, the.started, the.began('one'), the.poweredOff, the.packer(1), the.qemuEnded)
    expect(run.failure?.code).toBe('guest-vanished')
    expect(run.failure?.message).toContain('during stage one')
  })

  it('between two stages is named by the one before', () => {
    const run = happen({}, the.started, ...sealed('one'), the.qemuEnded)
    expect(run.failure?.message).toBe('the guest powered off or QEMU ended during stage one')
  })

  it('after Packer has died is not', () => {
    const run = happen({}, the.started, the.began('one'), the.packer(null), the.qemuEnded)
    expect(run.failure?.message).toBe('Packer ended with signal SIGKILL during stage one')
  })

  it('before it has shut down has lost what it had still to write', () => {
    const ends = [the.began('three'), the.ended('three'), the.qemuEnded, the.packer(0)]
    const run = happen({}, the.started, ...sealed('one'), ...sealed('two'), ...ends, the.settled())
    expect(run.failure?.message).toContain('QEMU ended while the guest was shutting down')
    expect(run.statuses).toEqual(['ran', 'ran', 'skipped'])
    expect(kinds(run.last)).not.toContain('record-layer')
  })
})

describe('Packer', () => {
  it('that dies before a stage has begun says so, and why', () => {
    const errors = ['Build errored:', '* no such port']
    const run = happen({}, the.started, the.packer(1, errors), the.settled())
    expect(run.failure?.message).toBe('Packer ended with exit status 1 before a stage began: * no such port')
    expect(run.statuses).toEqual(['skipped', 'skipped', 'skipped'])
  })

  it('that dies between two stages does not die of one', () => {
    const run = happen({}, the.started, ...sealed('one'), the.packer(1))
    expect(run.failure?.code).toBe('packer-died')
    expect(run.failure?.message).not.toContain('during stage')
  })

  it('that says nothing after a stage is stopped', () => {
    const run = happen({}, the.started, ...sealed('one'), the.fired('after one'))
    expect(run.failure).toMatchObject({ code: 'packer-silent' })
    expect(kinds(run.last)).toEqual(['stop-packer'])
  })

  it('that does not shut the guest down is stopped', () => {
    const run = happen({}, the.started, the.began('three'), the.ended('three'), the.fired('after three'))
    expect(run.failure?.message).toBe('nothing happened for 180 s after stage three')
  })

  it('is not what failed when it was stopped', () => {
    const run = happen({}, the.started, the.began('one'), the.ended('one', 7), the.packer(1))
    expect(run.failure?.code).toBe('stage-failed')
  })
})

describe('an interruption', () => {
  it('between two stages keeps the layer that is being sealed', () => {
    const between = [...pass('one'), the.interrupted, the.sealed('one'), the.packer(null)]
    const run = happen({}, the.started, ...between, the.settled())
    expect(run.failure).toMatchObject({ code: 'interrupted', exitCode: 130 })
    expect(run.statuses).toEqual(['ran', 'skipped', 'skipped'])
  })

  it('during a stage is why that stage failed', () => {
    const run = happen({}, the.started, the.began('one'), the.interrupted, the.packer(1), the.settled('one'))
    expect(run.results[0]).toMatchObject({ status: 'failed', exitStatus: null })
    expect(run.results[0]?.failure?.code).toBe('interrupted')
    expect(run.failure?.code).toBe('interrupted')
  })

  it('after a failure changes nothing', () => {
    const run = happen({}, the.started, panicked, the.interrupted)
    expect(run.failure?.code).toBe('guest-panicked')
    expect(run.last).toEqual([])
  })
})

describe('a stage and its time', () => {
  it('that ends just in time has not overrun it', () => {
    const run = happen({}, the.started, the.began('one'), the.ended('one'), the.fired('stage one'))
    expect(run.failure).toBeUndefined()
    expect(run.last).toEqual([])
  })

  it('that ends just too late has, and is not asked about', () => {
    const run = happen(held, the.started, the.began('one'), the.fired('stage one'), the.ended('one', 143))
    expect(run.failure?.message).toBe('stage one ran longer than its 100 s')
    expect(kinds(run.last)).toEqual(['report'])
    expect(run.statuses[0]).toBe('failed')
  })

  it('that goes on after a failure starts neither a timer nor the shutdown', () => {
    const run = happen({}, the.started, the.interrupted, the.began('three'), the.ended('three'))
    expect(kinds(run.effects)).not.toContain('start-timer')
    expect(run.effects).not.toContainEqual({ kind: 'start-part', name: 'shutdown' })
  })
})

describe('a checkpoint', () => {
  it('that is asked for before the last line of its stage is taken after it', () => {
    const early = happen({}, the.started, the.began('one'), the.asked('one'))
    expect(early.last).toEqual([])
    const late = happen({}, the.started, the.began('one'), the.asked('one'), the.ended('one'))
    expect(late.last).toContainEqual({ kind: 'take-checkpoint', name: 'one' })
  })

  it('that fails is told to Packer, and nothing is recorded', () => {
    const failing = [the.began('one'), the.ended('one'), the.asked('one'), the.notTaken('one')]
    const run = happen({}, the.started, ...failing)
    expect(run.failure?.message).toBe('the layer of stage one could not be sealed: QEMU refused')
    expect(run.last).toContainEqual({ kind: 'answer-checkpoint', name: 'one', error: 'QEMU refused' })
    expect(kinds(run.effects)).not.toContain('record-layer')
  })

  it('before the first stage that fails is left to Packer', () => {
    const run = happen({}, the.started, the.asked('@opening'), the.notTaken('@opening'))
    expect(run.failure).toBeUndefined()
    expect(run.last).toEqual([{ kind: 'answer-checkpoint', name: '@opening', error: 'QEMU refused' }])
  })
})

describe('a guest that resumes', () => {
  it('has 30 seconds', () => {
    const run = happen(resuming, the.started)
    expect(run.last).toEqual([
      { kind: 'start-part', name: 'wake' },
      { kind: 'resume-guest' },
      { kind: 'start-timer', id: 'resume', seconds: 30 },
    ])
    const late = happen(resuming, the.started, the.fired('resume'), the.resumed, the.packer(null))
    expect(late.failure?.message).toBe(
      'the guest did not resume from its saved state, which is removed (not within 30 s)',
    )
    expect([late.isWorthAnotherBoot, late.isStateBroken]).toEqual([true, true])
    const inTime = happen(resuming, the.started, the.resumed, the.fired('resume'))
    expect(inTime.failure).toBeUndefined()
    expect(inTime.state.timers).toEqual([])
  })

  it('and fails is booted, even after the first line of a stage', () => {
    const first = [the.asked('@opening'), the.taken('@opening'), the.began('one'), the.output('one', 'hello')]
    const run = happen(
      resuming,
      the.started,
      ...first,
      the.resumeFailed,
      the.packer(null),
      the.settled('one'),
    )
    expect(run.failure?.message).toBe(
      'the guest did not resume from its saved state, which is removed (QEMU ended during query-status)',
    )
    expect([run.isWorthAnotherBoot, run.isStateBroken]).toEqual([true, true])
  })

  it.each([
    ['panics', panicked],
    ['loses its QEMU', the.qemuEnded],
    ['fills the disk of its logs', full],
    ['does not get through its first stage', the.ended('one', 7)],
  ])('and %s has a state that is to blame', (_case, event) => {
    const run = happen(resuming, the.started, event)
    expect(run.failure?.code).toBe('state-not-woken')
    expect([run.isWorthAnotherBoot, run.isStateBroken]).toEqual([true, true])
  })

  it.each([
    ['is interrupted', the.interrupted, 'interrupted', false],
    ['whose Packer dies', the.packer(null), 'packer-died', true],
  ])('and %s is not booted instead', (_case, event, code, isStateBroken) => {
    const run = happen(resuming, the.started, event, the.resumeFailed)
    expect(run.failure?.code).toBe(code)
    expect([run.isWorthAnotherBoot, run.isStateBroken]).toEqual([false, isStateBroken])
  })

  it('and panics afterwards has panicked', () => {
    const run = happen(resuming, the.started, the.resumed, panicked)
    expect(run.failure?.code).toBe('guest-panicked')
    expect(run.isStateBroken).toBe(false)
  })

  it('keeps its 30 seconds when a stage begins meanwhile', () => {
    const run = happen(resuming, the.started, the.began('one'), the.ended('one'), the.fired('resume'))
    expect(run.failure?.code).toBe('state-not-woken')
  })
})

describe('an emulated guest that panics', () => {
  it('while booting is booted again', () => {
    expect(happen({}, the.started, panicked).isWorthAnotherBoot).toBe(true)
    expect(happen({ accelerator: 'kvm' }, the.started, panicked).isWorthAnotherBoot).toBe(false)
  })

  it('during a stage is not', () => {
    expect(happen({}, the.started, the.began('one'), panicked).isWorthAnotherBoot).toBe(false)
  })
})

describe('a stage that is held', () => {
  const failed = [the.started, the.began('one'), the.ended('one', 7)]

  it('has failed whatever a person decides, and fails the run unless it goes on', () => {
    const run = happen(held, ...failed)
    expect(run.last).toContainEqual(expect.objectContaining({ kind: 'hold', name: 'one' }))
    expect(run.failure).toBeUndefined()
    for (const decision of [the.stop, the.retry]) {
      expect(happen(held, ...failed, decision).failure?.code).toBe('stage-failed')
    }
  })

  it('and gone on from has nothing of what follows kept', () => {
    const rest = [
      the.goOn,
      the.asked('one'),
      ...sealed('two').slice(0, 3),
      the.began('three'),
      the.ended('three'),
    ]
    const run = happen(held, ...failed, ...rest, ...shutdown, the.settled())
    expect(run.failure?.message).toContain('the stages after one ran on what it had left')
    expect(run.statuses).toEqual(['failed', 'ran', 'ran'])
    expect(run.results.map(({ layer }) => layer)).toEqual([null, null, null])
    expect(kinds(run.effects)).not.toContain('take-checkpoint')
    expect(kinds(run.effects)).not.toContain('record-layer')
    expect(kinds(run.effects).filter((kind) => kind === 'answer-checkpoint')).toHaveLength(2)
  })

  it('and gone on from does not excuse what fails later', () => {
    const later = [the.goOn, the.asked('one'), the.began('two'), the.ended('two', 9)]
    const run = happen(held, ...failed, ...later, the.stop, the.packer(1), the.settled())
    expect(run.failure?.message).toBe('stage two failed with exit status 9')
    expect(run.statuses).toEqual(['failed', 'failed', 'skipped'])
  })

  it('and gone on from may be the last', () => {
    const last = [the.started, the.began('three'), the.ended('three', 7), the.goOn]
    expect(happen(held, ...last, the.qemuEnded, the.packer(0)).failure?.code).toBe('went-on')
  })

  it('is of no interest when its guest ends meanwhile', () => {
    for (const late of [the.goOn, the.stop, the.holdFailed]) {
      const run = happen(held, ...failed, the.qemuEnded, late)
      expect(run.failure?.code).toBe('guest-vanished')
      expect(run.last).toEqual([])
    }
  })

  it.each([
    ['be looked into', [the.holdFailed]],
    ['be released', [the.goOn, the.holdFailed]],
  ])('and can not %s fails the run, and a note says why', (_case, events) => {
    const run = happen(held, ...failed, ...events)
    const text = 'cannot open a shell in the guest: QEMU forwards no port'
    expect(run.last[0]).toEqual({ kind: 'report', event: { kind: 'note', text } })
    expect(run.failure?.code).toBe('stage-failed')
  })

  it('is not held again once the next stage has begun', () => {
    const run = happen(held, ...failed, the.goOn, the.began('two'), the.holdFailed)
    expect(run.last).toEqual([])
  })
})

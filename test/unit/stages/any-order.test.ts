/** Whatever happens to a run, in whatever order: what has to be true of it all the same. */

import { describe, expect, it } from 'vitest'
import { outcomeOf } from '../../../src/stages/run-state.ts'
import { toyStages } from '../../support/toy-run.ts'
import { type Chapter, live } from '../../support/toy-world.ts'
import { chance } from '../../survive/moments.ts'

const seeds = Array.from({ length: 2000 }, (_, seed) => seed)
const runs = seeds.map((seed) => ({ seed, chapters: live(chance(seed)) }))

const effectsOf = (chapters: readonly Chapter[]) => chapters.flatMap(({ effects }) => effects)
const endOf = (chapters: readonly Chapter[]) => (chapters.at(-1) as Chapter).after
const finished = (chapters: readonly Chapter[]) =>
  effectsOf(chapters).flatMap((effect) =>
    effect.kind === 'report' && effect.event.kind === 'stage-finished' ? [effect.event.stage] : [],
  )

/** Finds runs for which something does not hold, each by its seed and its events. */
function broken(holds: (chapters: readonly Chapter[]) => boolean): readonly string[] {
  return runs
    .filter(({ chapters }) => !holds(chapters))
    .map(({ seed, chapters }) => `${seed}: ${chapters.map(({ event }) => event.kind).join(', ')}`)
    .slice(0, 3)
}

const isUnique = (names: readonly string[]) => new Set(names).size === names.length

describe('a run in which anything happens', () => {
  it('is drawn so that every kind of event happens, and every end is come to', () => {
    const kinds = new Set(runs.flatMap(({ chapters }) => chapters.map(({ event }) => event.kind)))
    const ends = new Set(runs.map(({ chapters }) => endOf(chapters).failure?.code))
    expect([...kinds].sort()).toEqual([
      'checkpoint-asked',
      'checkpoint-failed',
      'checkpoint-taken',
      'decided',
      'guest-failed',
      'guest-powered-off',
      'guest-resumed',
      'hold-failed',
      'interrupted',
      'layer-sealed',
      'log-failed',
      'packer-ended',
      'qemu-ended',
      'resume-failed',
      'seal-failed',
      'settled',
      'stage-began',
      'stage-ended',
      'stage-output',
      'started',
      'timer-fired',
    ])
    expect([...ends].map(String).sort()).toEqual([
      'disk-full',
      'guest-panicked',
      'guest-vanished',
      'interrupted',
      'packer-died',
      'packer-silent',
      'seal-failed',
      'stage-failed',
      'stage-timeout',
      'state-not-woken',
      'undefined',
      'went-on',
    ])
  })

  it('finishes each stage once at most, and has one result of each', () => {
    expect(
      broken((chapters) => {
        const names = finished(chapters).map(({ name }) => name)
        const { results } = outcomeOf(endOf(chapters))
        return isUnique(names) && results.map(({ name }) => name).join() === toyStages.join()
      }),
    ).toEqual([])
  })

  it('finishes every stage that began, unless what it left was not sealed', () => {
    expect(
      broken((chapters) => {
        const names = finished(chapters).map(({ name }) => name)
        return chapters.every(({ event }) => {
          if (event.kind !== 'stage-began') return true
          const hasEnded = chapters.some(
            ({ event: end }) =>
              end.kind === 'stage-ended' && end.outcome.name === event.name && end.outcome.exitStatus === 0,
          )
          return hasEnded || names.includes(event.name)
        })
      }),
    ).toEqual([])
  })

  it('has one failure, the first, or layers of all its stages', () => {
    expect(
      broken((chapters) => {
        const { results, failure } = outcomeOf(endOf(chapters))
        const isWhole = results.every(({ status, layer }) => status === 'ran' && layer !== null)
        return failure === undefined ? isWhole : true
      }),
    ).toEqual([])
    expect(
      broken((chapters) =>
        chapters.every(
          ({ before, after }) => before.failure === undefined || after.failure === before.failure,
        ),
      ),
    ).toEqual([])
  })

  it('stops Packer once, when it fails', () => {
    expect(
      broken((chapters) =>
        chapters.every(({ before, after, effects }) => {
          const hasFailed = before.failure === undefined && after.failure !== undefined
          return effects.filter(({ kind }) => kind === 'stop-packer').length === (hasFailed ? 1 : 0)
        }),
      ),
    ).toEqual([])
  })

  it('clears every timer that it starts, and none runs on after a failure or after Packer', () => {
    expect(
      broken((chapters) => {
        const running = new Set<string>()
        return chapters.every(({ event, effects, after }) => {
          if (event.kind === 'timer-fired') running.delete(event.id)
          for (const effect of effects) {
            if (effect.kind === 'start-timer') {
              if (running.has(effect.id)) return false
              running.add(effect.id)
            }
            if (effect.kind === 'clear-timer' && !running.delete(effect.id)) return false
          }
          const hasEnded = after.failure !== undefined || event.kind === 'packer-ended' || after.isOver
          return running.size === after.timers.length && (!hasEnded || running.size === 0)
        })
      }),
    ).toEqual([])
  })

  it('does nothing when it is over', () => {
    expect(
      broken((chapters) =>
        chapters.every(
          ({ before, after, effects }) => !before.isOver || (after === before && effects.length === 0),
        ),
      ),
    ).toEqual([])
  })

  it('answers each checkpoint once at most, and asks a person only while nothing else is wrong', () => {
    expect(
      broken((chapters) => {
        const effects = effectsOf(chapters)
        const answers = effects.flatMap((effect) =>
          effect.kind === 'answer-checkpoint' ? [effect.name] : [],
        )
        const mayHold = chapters.every(
          ({ before, effects }) =>
            before.failure === undefined || !effects.some(({ kind }) => kind === 'hold'),
        )
        return isUnique(answers) && mayHold
      }),
    ).toEqual([])
  })

  it('records layers in the order of their stages, and none of what a failed stage left', () => {
    expect(
      broken((chapters) => {
        const recorded = effectsOf(chapters).flatMap((effect) =>
          effect.kind === 'record-layer' ? [effect.outcome.name] : [],
        )
        const [failed] = endOf(chapters).wentOnAfter
        const kept = failed === undefined ? toyStages : toyStages.slice(0, toyStages.indexOf(failed as 'one'))
        return recorded.join() === kept.slice(0, recorded.length).join()
      }),
    ).toEqual([])
  })

  it('ends the shutdown only when all has gone well, and begins it once', () => {
    expect(
      broken((chapters) => {
        const effects = effectsOf(chapters)
        const count = (kind: string) =>
          effects.filter((effect) => effect.kind === kind && 'name' in effect && effect.name === 'shutdown')
            .length
        const hasRecordedLast = effects.some(
          (effect) => effect.kind === 'record-layer' && effect.outcome.name === toyStages.at(-1),
        )
        return count('start-part') <= 1 && count('finish-part') === (hasRecordedLast ? 1 : 0)
      }),
    ).toEqual([])
  })
})

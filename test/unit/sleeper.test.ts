import { EventEmitter } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Qmp } from '../../src/build/qmp.ts'
import { createSleeper, type SleeperOptions } from '../../src/build/sleeper.ts'
import { sha256 } from '../../src/digest.ts'
import { openStates } from '../../src/store/states.ts'
import type { Layer } from '../../src/store/store.ts'
import { useFolder } from '../support/folder.ts'

const path = useFolder()
const stages = ['one', 'two', 'three', 'four', 'five', 'six']
const layer = (name: string): Layer => ({ key: sha256(name), name, sha256: sha256(name) }) as Layer

/** A QEMU that writes its state where it is told, or fails to. */
const qemu = (isBroken = false): Qmp => ({
  events: new EventEmitter(),
  close: () => undefined,
  execute: async (command, argumentsObject) => {
    if (command === 'migrate') {
      const [, file = ''] = /-o '(.+)'$/.exec((argumentsObject as { uri: string }).uri) ?? []
      if (!isBroken) writeFileSync(file, 'memory')
    }
    return command === 'query-migrate' ? { status: isBroken ? 'failed' : 'completed' } : {}
  },
})

function sleeperWith(options: Partial<SleeperOptions> = {}) {
  const notes: string[] = []
  const sleeper = createSleeper({
    states: openStates(path('states')),
    maximumBytes: 1000,
    keyOf: async (key) => sha256(`state of ${key}`),
    qmp: async () => qemu(),
    stages,
    estimate: (name) => (name === 'two' ? 12 : 1),
    onNote: (text) => notes.push(text),
    ...options,
  })
  return { sleeper, notes }
}

const worth = (sleeper: ReturnType<typeof sleeperWith>['sleeper']) =>
  stages.filter((name) => sleeper.isWorthIt(name))

it('keeps nothing of a guest that boots quickly', () => {
  const { sleeper } = sleeperWith()
  sleeper.began('boot', 4)
  expect([undefined, ...stages].some((name) => sleeper.isWorthIt(name))).toBe(false)
})

it('keeps a slow guest as it has booted, and after stages that are long or late', () => {
  const { sleeper } = sleeperWith()
  sleeper.began('boot', 31)
  expect(sleeper.isWorthIt(undefined)).toBe(true)
  expect(worth(sleeper)).toEqual(['two', 'four', 'five', 'six'])
})

it('keeps less of a guest that woke, whose first state is there already: after long stages, and before unknown ones', () => {
  const { sleeper } = sleeperWith()
  sleeper.began('wake', 2)
  expect(sleeper.isWorthIt(undefined)).toBe(false)
  expect(worth(sleeper)).toEqual(['two'])
  const known: Readonly<Record<string, number>> = { one: 1, two: 1, three: 1, six: 1 }
  const other = sleeperWith({ estimate: (name) => known[name] }).sleeper
  other.began('wake', 2)
  expect(worth(other)).toEqual(['three', 'four'])
})

it('keeps nothing where there is no room for any', () => {
  const { sleeper } = sleeperWith({ maximumBytes: 0 })
  sleeper.began('boot', 31)
  expect(sleeper.isWorthIt('six')).toBe(false)
})

it('records a state with its layer, and with what the guest had written above it', async () => {
  const { sleeper } = sleeperWith()
  writeFileSync(path('disk'), 'written')
  await sleeper.save(sha256('one'), path('disk'))
  const states = openStates(path('states'))
  const key = sha256(`state of ${sha256('one')}`)
  expect(await states.find(key, layer('one')), 'before the layer is there').toBeUndefined()
  await sleeper.commit(layer('one'), [layer('one')])
  const state = await states.find(key, layer('one'))
  expect(state && (await states.verify(state))).toBe(true)
  expect(readFileSync(states.changes(key), 'utf8')).toBe('written')
})

it('says why a state was not kept, leaves nothing of it, and harms nobody', async () => {
  const { sleeper, notes } = sleeperWith({ qmp: async () => qemu(true) })
  await sleeper.save(sha256('one'))
  await sleeper.commit(layer('one'), [layer('one')])
  expect(notes).toEqual(['no state was kept: QEMU answers query-migrate with failed'])
  expect(readdirSync(path('states'))).toEqual([])
})

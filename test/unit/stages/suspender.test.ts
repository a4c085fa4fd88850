import { EventEmitter } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import type { Qmp } from '../../../src/qemu/qmp.ts'
import { createSuspender, type SuspenderOptions } from '../../../src/stages/suspender.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStates } from '../../../src/store/states.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const stages = ['one', 'two', 'three', 'four', 'five', 'six']
const layer = (name: string): Layer => ({ key: sha256(name), name, sha256: sha256(name) }) as Layer

/** A QEMU that writes its state where it is told, or fails to. */
const qemu = (isBroken = false): Qmp => ({
  events: new EventEmitter(),
  close: () => undefined,
  execute: async (command, argumentsObject) => {
    if (command === 'migrate') {
      const [, file = ''] = / mv -f '.+' '(.+)'$/.exec((argumentsObject as { uri: string }).uri) ?? []
      if (!isBroken) writeFileSync(file, 'memory')
    }
    return command === 'query-migrate' ? { status: isBroken ? 'failed' : 'completed' } : {}
  },
})

function suspenderWith(options: Partial<SuspenderOptions> = {}) {
  const notes: string[] = []
  const suspender = createSuspender({
    states: openStates(path('states')),
    maximumBytes: 1000,
    keyOf: async (key) => sha256(`state of ${key}`),
    qmp: async () => qemu(),
    stages,
    workedOn: undefined,
    estimate: (name) => (name === 'two' ? 12 : 1),
    onNote: (text) => notes.push(text),
    ...options,
  })
  return { suspender, notes }
}

const worth = (suspender: ReturnType<typeof suspenderWith>['suspender']) =>
  stages.filter((name) => suspender.isWorthIt(name))

it('keeps nothing of a guest that boots quickly', () => {
  const { suspender } = suspenderWith()
  suspender.started('boot', 4)
  expect([undefined, ...stages].some((name) => suspender.isWorthIt(name))).toBe(false)
})

it('keeps a slow guest as it has booted, and after stages that are long or late', () => {
  const { suspender } = suspenderWith()
  suspender.started('boot', 31)
  expect(suspender.isWorthIt(undefined)).toBe(true)
  expect(worth(suspender)).toEqual(['two', 'four', 'five', 'six'])
})

it('keeps less of a guest that was resumed, whose first state is there already: after long stages, and before unknown ones', () => {
  const { suspender } = suspenderWith()
  suspender.started('resume', 2)
  expect(suspender.isWorthIt(undefined)).toBe(false)
  expect(worth(suspender)).toEqual(['two'])
  const known: Readonly<Record<string, number>> = { one: 1, two: 1, three: 1, six: 1 }
  const other = suspenderWith({ estimate: (name) => known[name] }).suspender
  other.started('resume', 2)
  expect(worth(other)).toEqual(['three', 'four'])
})

it('keeps nothing where there is no room for any', () => {
  const { suspender } = suspenderWith({ maximumBytes: 0 })
  suspender.started('boot', 31)
  expect(suspender.isWorthIt('six')).toBe(false)
})

it('records a state with its layer, and with what the guest had written above it', async () => {
  const { suspender } = suspenderWith()
  writeFileSync(path('disk'), 'written')
  await suspender.save(sha256('one'), path('disk'))
  const states = openStates(path('states'))
  const key = sha256(`state of ${sha256('one')}`)
  expect(await states.find(key, layer('one')), 'before the layer is there').toBeUndefined()
  await suspender.commit(layer('one'), [layer('one')])
  const state = await states.find(key, layer('one'))
  expect(state && (await states.verify(state))).toBe(true)
  expect(readFileSync(states.changes(key), 'utf8')).toBe('written')
})

it('says why a state was not kept, leaves nothing of it, and harms nobody', async () => {
  const { suspender, notes } = suspenderWith({ qmp: async () => qemu(true) })
  await suspender.save(sha256('one'))
  await suspender.commit(layer('one'), [layer('one')])
  expect(notes).toEqual(['no saved state was kept: QEMU answers query-migrate with failed'])
  expect(readdirSync(path('states'))).toEqual([])
})

it('keeps the guest before the stage that a person is changing, also one that was resumed', () => {
  const { suspender } = suspenderWith({ workedOn: 'four', estimate: () => 1 })
  suspender.started('resume', 3)
  expect(worth(suspender)).toEqual(['three'])
})

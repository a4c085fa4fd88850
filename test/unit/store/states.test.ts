import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStates } from '../../../src/store/states.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

const layerOf = (name: string, content = name): Layer =>
  ({ key: sha256(name), name, sha256: sha256(content) }) as Layer
const keyOf = (name: string) => sha256(`state of ${name}`)
const states = () => openStates(path('states'))

/** Saves a state on a layer as a suspender does. */
async function save(name: string, memory = 'memory', changes?: string) {
  await states().prepare(keyOf(name))
  writeFileSync(states().memory(keyOf(name)), memory)
  if (changes !== undefined) writeFileSync(states().changes(keyOf(name)), changes)
  return states().commit(keyOf(name), layerOf(name))
}

describe('a saved state', () => {
  it('is found for the layer it was saved on, and for nobody but its owner to read', async () => {
    const saved = await save('greet')
    expect(await states().find(keyOf('greet'), layerOf('greet'))).toEqual(saved)
    expect(saved.sizeBytes).toBe('memory'.length)
    expect(statSync(path('states')).mode & 0o777).toBe(0o700)
  })

  it('is of no use on a layer that was made again with other content', async () => {
    await save('greet')
    expect(await states().find(keyOf('greet'), layerOf('greet', 'made again'))).toBeUndefined()
  })

  it('is not there until it is recorded, nor with a record that is torn', async () => {
    await states().prepare(keyOf('greet'))
    writeFileSync(states().memory(keyOf('greet')), 'memory')
    expect(await states().find(keyOf('greet'), layerOf('greet'))).toBeUndefined()
    writeFileSync(path('states', `${keyOf('greet')}.json`), '{"key": "')
    expect(await states().find(keyOf('greet'), layerOf('greet'))).toBeUndefined()
  })

  it('is sound only while memory and changes are what they were', async () => {
    const saved = await save('greet', 'memory', 'changes')
    expect(await states().verify(saved)).toBe(true)
    writeFileSync(states().changes(saved.key), 'changed')
    expect(await states().verify(saved)).toBe(false)
    const other = await save('unpack')
    writeFileSync(states().memory(other.key), 'memoru')
    expect(await states().verify(other)).toBe(false)
    const third = await save('cleanup')
    writeFileSync(states().changes(third.key), 'changes of somebody')
    expect(await states().verify(third)).toBe(false)
  })

  it('puts what the guest had written where the next guest goes on writing', async () => {
    await states().use(await save('greet', 'memory', 'changes'), path('disk'))
    expect(readFileSync(path('disk'), 'utf8')).toBe('changes')
    await states().use(await save('unpack'), path('none'))
    expect(existsSync(path('none'))).toBe(false)
  })
})

describe('room for states', () => {
  const used = (name: string, seconds: number) =>
    utimesSync(path('states', `${keyOf(name)}.json`), seconds, seconds)
  const kept = async () => (await states().list()).map(({ layer }) => layer).sort()

  it('goes to those that were of use last', async () => {
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      await save(name, '0123456789')
      used(name, 1000 + index)
    }
    used('a', 2000)
    await states().prune(
      ['a', 'b', 'c'].map((name) => layerOf(name)),
      25,
    )
    expect(await kept()).toEqual([sha256('a'), sha256('c')].sort())
  })

  it('is taken from states whose layer is gone, and from files without a record', async () => {
    await save('a')
    await save('b')
    writeFileSync(path('states', `${keyOf('torn')}.zst`), 'half')
    await states().prune([layerOf('a')], 1000)
    expect(await kept()).toEqual([sha256('a')])
    expect(readdirSync(path('states'))).toHaveLength(2)
  })

  it('is not taken from a state that is being saved', async () => {
    await save('a')
    const open = states()
    await open.prepare(keyOf('b'))
    writeFileSync(open.memory(keyOf('b')), 'memory')
    await open.prune([layerOf('a')], 1000)
    await open.commit(keyOf('b'), layerOf('b'))
    expect(await kept()).toEqual([sha256('a'), sha256('b')].sort())
  })
})

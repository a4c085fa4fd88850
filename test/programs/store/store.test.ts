import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { writeDurably } from '../../../src/host/files.ts'
import {
  keyOf as keyOfParts,
  type LayerKey,
  type LayerParts,
  parentOf,
} from '../../../src/store/layer-key.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStates } from '../../../src/store/states.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

/** base ← a ← b ← c, and base ← other. */
const below: Readonly<Record<string, string>> = { a: 'base', b: 'a', c: 'b', other: 'base' }
const keyOf = (name: string): LayerKey => keyOfParts(partsOf(name))

/** What a layer's key is made from: its name, and the layer below. */
function partsOf(name: string): LayerParts {
  const parent = below[name]
  const digest = sha256(name)
  if (parent === undefined) {
    const facts = { format: 3, installer: 'bootstrap', suite: 'trixie', arch: 'x86_64' }
    return { ...facts, scripts: [], command: digest }
  }
  const inputs = { script: digest, environment: {}, sourceDateEpoch: 0, files: {} }
  return { format: 3, name, ...inputs, leaves: [], network: false, parent: keyOf(parent) }
}

/** Commits a layer whose disk holds its own name. */
async function commit(store: Store, name: string): Promise<Layer> {
  mkdirSync(store.folder, { recursive: true })
  writeFileSync(store.disk(keyOf(name)), `disk of ${name}`)
  const parts = partsOf(name)
  return store.commit({
    key: keyOf(name),
    name,
    parent: parentOf(parts),
    parts,
    createdAt: '2026-01-02T03:04:05.000Z',
    buildTimeSeconds: 1.5,
    log: `runs/x/${name}.log`,
    artifacts: [],
    packages: { added: [], removed: [], upgraded: [] },
    bytesWritten: 0,
    tools: {},
  })
}

async function names(store: Store): Promise<readonly string[]> {
  return (await store.list()).map(({ name }) => name).sort()
}

/** Commits all layers of the two chains. */
async function fill(store: Store): Promise<void> {
  await commit(store, 'base')
  await commit(store, 'a')
  await commit(store, 'b')
  await commit(store, 'c')
  await commit(store, 'other')
}

describe('a store whose folder is another run’s by now', () => {
  it('records no layer and removes none', async () => {
    await commit(openStore(path('store')), 'base')
    const before = readdirSync(path('store'))
    const store = openStore(path('store'), () => Promise.reject(new Error('lost')))
    await expect(commit(store, 'a')).rejects.toThrow('lost')
    await expect(store.remove(keyOf('base'))).rejects.toThrow('lost')
    expect(await names(store)).toEqual(['base'])
    expect(readdirSync(path('store'))).toEqual(expect.arrayContaining(before))
  })
})

/** What lies in the store, but for the list of digests that spares reading. */
const filesOfStore = () => readdirSync(path('store')).filter((name) => name !== 'digests.json')

describe('a store', () => {
  it('that does not exist yet is empty, and asking does not make it', async () => {
    const store = openStore(path('store'))
    expect(await store.list()).toEqual([])
    expect(await store.find(keyOf('a'))).toBeUndefined()
    expect(readdirSync(path())).toEqual([])
  })

  it('gives back what was committed, with the size and digest of its disk', async () => {
    const store = openStore(path('store'))
    const layer = await commit(store, 'a')
    expect(layer).toMatchObject({ sha256: sha256('disk of a'), sizeBytes: 9, parent: keyOf('base') })
    // As another process sees it.
    expect(await openStore(path('store')).find(layer.key)).toEqual(layer)
    expect(filesOfStore().sort()).toEqual([`${layer.key}.json`, `${layer.key}.qcow2`])
  })

  it('has no layer for a disk that was never committed', async () => {
    const store = openStore(path('store'))
    await expect(commit(openStore(path('store')), 'a')).resolves.toBeDefined()
    writeFileSync(store.disk(keyOf('half')), 'half written')
    expect(await store.find(keyOf('half'))).toBeUndefined()
    expect(await names(store)).toEqual(['a'])
  })

  it('refuses to commit a disk that is not there, and records nothing', async () => {
    const store = openStore(path('store'))
    await commit(store, 'a')
    const lost = store.commit({ ...(await commit(store, 'b')), key: keyOf('lost') })
    await expect(lost).rejects.toThrow('ENOENT')
    expect(await names(store)).toEqual(['a', 'b'])
  })
})

describe('a damaged layer', () => {
  it('with a flipped byte is found, but not verified', async () => {
    const store = openStore(path('store'))
    const layer = await commit(store, 'a')
    expect(await store.verify(layer)).toBe(true)
    writeFileSync(store.disk(layer.key), 'disk of b')
    expect(await store.find(layer.key)).toEqual(layer)
    expect(await store.verify(layer)).toBe(false)
  })

  it('whose disk is gone is not verified', async () => {
    const store = openStore(path('store'))
    const layer = await commit(store, 'a')
    rmSync(store.disk(layer.key))
    expect(await store.verify(layer)).toBe(false)
  })

  it.each([
    ['a truncated disk', (store: Store, key: LayerKey) => truncateSync(store.disk(key), 4)],
    ['no disk', (store: Store, key: LayerKey) => rmSync(store.disk(key))],
    ['no record', (store: Store, key: LayerKey) => rmSync(`${store.folder}/${key}.json`)],
    [
      'half a record',
      (store: Store, key: LayerKey) => writeFileSync(`${store.folder}/${key}.json`, '{"key": "'),
    ],
  ])('with %s is no layer', async (_case, damage) => {
    const store = openStore(path('store'))
    await fill(store)
    damage(store, keyOf('a'))
    expect(await store.find(keyOf('a'))).toBeUndefined()
    expect(await names(store)).toEqual(['b', 'base', 'c', 'other'])
  })
})

describe('removal', () => {
  it('takes every layer above along, and leaves the others', async () => {
    const store = openStore(path('store'))
    await fill(store)
    await store.remove(keyOf('a'))
    expect(await names(store)).toEqual(['base', 'other'])
    expect(filesOfStore()).toHaveLength(4)
  })

  it('of a layer that is not there does nothing', async () => {
    const store = openStore(path('store'))
    await fill(store)
    await store.remove(keyOf('unknown'))
    expect(await names(store)).toHaveLength(5)
  })
})

/** Rewrites a field of a layer's record. */
function forge(store: Store, name: string, change: object): void {
  const file = `${store.folder}/${keyOf(name)}.json`
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...change }))
}

describe('a record', () => {
  it.each([
    ['the parent', { parent: sha256('another') }],
    ['no parent', { parent: null }],
    ['the parts', { parts: partsOf('c') }],
  ])('in which %s was changed is not used, and is named', async (_case, change) => {
    const store = openStore(path('store'))
    await fill(store)
    forge(store, 'b', change)
    expect(await store.find(keyOf('b'))).toBeUndefined()
    const faults = (await store.inspect()).map(({ name, fault }) => `${name}: ${fault}`)
    expect(faults.sort()).toEqual([
      'b: its record does not match its key',
      'c: the layer below it is missing or damaged',
    ])
    expect((await store.sweep()).map(({ name }) => name).sort()).toEqual(['b', 'c'])
    expect(await names(store)).toEqual(['a', 'base', 'other'])
  })
})

describe('sweeping', () => {
  it('removes what killed builds left, and touches no layer and no file of others', async () => {
    const store = openStore(path('store'))
    await fill(store)
    await store.keepSource(Buffer.from('a script'))
    writeFileSync(store.disk(keyOf('half')), 'half written')
    writeFileSync(path('store', `${keyOf('half')}.json.tmp`), '{')
    writeFileSync(path('store', 'sources', 'half.tmp'), 'a scr')
    writeFileSync(path('store', 'README'), 'mine')
    expect(await store.sweep()).toEqual([])
    expect(await names(store)).toHaveLength(5)
    expect(readFileSync(path('store', 'README'), 'utf8')).toBe('mine')
    expect(filesOfStore()).toHaveLength(12)
    expect(readdirSync(path('store', 'sources'))).toEqual([sha256('a script')])
  })

  it('removes layers whose disk or parent is gone, and names them', async () => {
    const store = openStore(path('store'))
    await fill(store)
    truncateSync(store.disk(keyOf('c')), 4)
    rmSync(store.disk(keyOf('other')))
    const named = (await store.sweep()).map(({ name, fault }) => `${name}: ${fault}`)
    expect(named.sort()).toEqual(['c: its disk has 4 bytes instead of 9', 'other: its disk is missing'])
    rmSync(store.disk(keyOf('a')))
    rmSync(path('store', `${keyOf('a')}.json`))
    expect((await store.sweep()).map(({ name }) => name)).toEqual(['b'])
    expect(await names(store)).toEqual(['base'])
    expect(await store.inspect()).toEqual([])
  })
})

describe('what is there and cannot be read', () => {
  /** A link to itself: opening it fails, as of a file that a failing disk or a limit keeps from us. */
  const blind = (file: string) => {
    rmSync(file)
    symlinkSync(file, file)
  }

  it.each([
    ['a record', (store: Store) => `${store.folder}/${keyOf('a')}.json`],
    ['a disk', (store: Store) => store.disk(keyOf('a'))],
  ])('such as %s, stops whoever asks, and nothing is removed', async (_case, fileOf) => {
    const store = openStore(path('store'))
    await fill(store)
    blind(fileOf(store))
    const before = readdirSync(path('store'))
    const unreadable = {
      code: 'unreadable',
      exitCode: 3,
      message: expect.stringMatching(/cannot read .*: its links lead back to themselves \(ELOOP\)/),
    }
    const layer = { key: keyOf('a'), sha256: sha256('disk of a') } as Layer
    for (const ask of [store.list, store.sweep, store.inspect, () => store.find(keyOf('a'))])
      await expect(ask()).rejects.toMatchObject(unreadable)
    await expect(store.remove(keyOf('base'))).rejects.toMatchObject(unreadable)
    if (fileOf(store).endsWith('.qcow2')) await expect(store.verify(layer)).rejects.toMatchObject(unreadable)
    expect(readdirSync(path('store'))).toEqual(before)
  })

  it('such as the folder of states, or a state, stops whoever cleans up there', async () => {
    const states = openStates(path('states'))
    await states.prepare(keyOf('a'))
    writeFileSync(states.memory(keyOf('a')), 'memory')
    await states.commit(keyOf('a'), { key: keyOf('a'), sha256: sha256('a') } as Layer)
    blind(path('states', `${keyOf('a')}.json`))
    await expect(states.prune([])).rejects.toMatchObject({ code: 'unreadable' })
    expect(readdirSync(path('states'))).toHaveLength(2)
  })

  it('is nothing in a large store whose process may open few files', async () => {
    const store = openStore(path('store'))
    const first = await commit(store, 'layer')
    for (let index = 1; index < 200; index += 1) {
      const [key, parts] = [keyOf(`layer-${index}`), partsOf(`layer-${index}`)]
      writeFileSync(store.disk(key), `disk of layer`)
      writeFileSync(`${store.folder}/${key}.json`, JSON.stringify({ ...first, key, parts }))
    }
    const run = fileURLToPath(new URL('../../support/run.js', import.meta.url))
    const words = [run, 'test/support/sweep-main.ts', store.folder, '64']
    expect(execFileSync(process.execPath, words, { encoding: 'utf8' })).toBe('[]')
    expect(await names(store)).toHaveLength(200)
  })
})

describe('a durable write', () => {
  it('replaces a file as a whole and leaves nothing beside it', async () => {
    writeFileSync(path('file'), 'a longer text than the new one')
    await writeDurably(path('file'), 'new\n')
    expect(readFileSync(path('file'), 'utf8')).toBe('new\n')
    expect(readdirSync(path())).toEqual(['file'])
  })

  it('that fails leaves what was there, and nothing beside it', async () => {
    mkdirSync(path('folder'))
    await expect(writeDurably(path('folder'), 'a text')).rejects.toThrow('it is a folder')
    expect(readdirSync(path())).toEqual(['folder'])
  })

  it('takes the place of no pipe, nor of a link to one, as /dev/stdout is', async () => {
    execFileSync('mkfifo', [path('pipe')])
    await expect(writeDurably(path('pipe'), 'a text')).rejects.toMatchObject({ code: 'not-written' })
    symlinkSync('pipe', path('link'))
    await expect(writeDurably(path('link'), 'a text')).rejects.toMatchObject({ code: 'not-written' })
    expect(lstatSync(path('pipe')).isFIFO()).toBe(true)
    expect(lstatSync(path('link')).isSymbolicLink()).toBe(true)
    expect(readdirSync(path())).toEqual(['link', 'pipe'])
  })

  it('names the folder that is missing', async () => {
    const refusal = writeDurably(path('no', 'such', 'file'), 'a text')
    await expect(refusal).rejects.toMatchObject({ code: 'not-written', exitCode: 2 })
    await expect(refusal).rejects.toThrow(`there is no folder ${path('no', 'such')}`)
  })
})

describeWith(['qemu-img', 'qemu-io'], 'layers on top of each other', () => {
  const qemu = (program: string, ...options: string[]) =>
    execFileSync(program, options, { encoding: 'utf8', cwd: path('store') })

  it('still find each other when the store has been moved', async () => {
    const store = openStore(path('store'))
    mkdirSync(store.folder)
    const [low, high] = [keyOf('low'), keyOf('high')]
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', store.disk(low), '1M')
    qemu('qemu-io', '-c', 'write -P 0x41 0 64k', store.disk(low))
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', `${low}.qcow2`, '-F', 'qcow2', store.disk(high))
    renameSync(path('store'), path('moved'))
    mkdirSync(path('store'))
    const moved = openStore(path('moved'))
    expect(qemu('qemu-io', '-r', '-c', 'read -P 0x41 0 64k', moved.disk(high))).toContain('read 65536/65536')
  })
})

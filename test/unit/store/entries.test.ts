import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { planImage } from '../../../src/plan/plan.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { listedOnce, openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { chainOf } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof import('node:fs/promises')>()
  return { ...actual, open: vi.fn(actual.open) }
})

const path = useFolder()
const layers = chainOf(3)
const [base, first, top] = layers as readonly [Layer, Layer, Layer]
const recordOf = ({ key }: Layer) => path(`${key}.json`)
const write = (layer: Layer, to = recordOf(layer)) => writeFileSync(to, JSON.stringify(layer))

/** How often each record has been opened. */
const opened = () =>
  layers.map((layer) => vi.mocked(open).mock.calls.filter(([file]) => file === recordOf(layer)).length)

const yearsOf = (found: readonly Layer[]) => found.map(({ createdAt }) => createdAt.slice(0, 4)).sort()

/** Records that were written long ago, as far as this program knows. */
beforeEach(() => {
  for (const layer of layers) {
    write(layer)
    writeFileSync(path(`${layer.key}.qcow2`), '')
  }
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
  vi.mocked(open).mockClear()
  return () => vi.useRealTimers()
})

describe('the record of a layer', () => {
  it('is read once while nobody touches it', async () => {
    const store = openStore(path())
    for (let times = 0; times < 3; times += 1) {
      expect(await store.list()).toHaveLength(3)
      expect(await store.find(top.key)).toEqual(top)
    }
    expect(opened()).toEqual([1, 1, 1])
  })

  it('is read once for the plans of all variants, even if it is new', async () => {
    vi.useRealTimers()
    const image = await sampleImage(path())
    const store = await listedOnce(openStore(path()))
    for (let variants = 0; variants < 3; variants += 1) await planImage(image, store)
    await store.list()
    expect(opened()).toEqual([1, 1, 1])
  })

  it('is read again when another program replaces it, writes to it, removes it, or adds one', async () => {
    const store = openStore(path())
    await store.list()
    const changed = { ...first, createdAt: '2027-01-02T03:04:05.000Z' }
    write(changed, path('aside'))
    renameSync(path('aside'), recordOf(first))
    expect(yearsOf(await store.list())).toEqual(['2026', '2026', '2027'])
    // As long as before, in the same file.
    write({ ...base, createdAt: '2028-01-02T03:04:05.000Z' })
    expect(yearsOf(await store.list())).toEqual(['2026', '2027', '2028'])
    rmSync(recordOf(top))
    expect(yearsOf(await store.list())).toEqual(['2027', '2028'])
    expect(await store.find(top.key)).toBeUndefined()
    write(top)
    expect(yearsOf(await store.list())).toEqual(['2026', '2027', '2028'])
  })

  it('is checked again when it has changed, and stays out while it is wrong', async () => {
    const store = openStore(path())
    await store.list()
    writeFileSync(recordOf(top), readFileSync(recordOf(top), 'utf8').slice(0, -1))
    expect(await store.find(top.key)).toBeUndefined()
    write({ ...top, parts: { ...top.parts, network: true } } as Layer)
    expect(await store.find(top.key)).toBeUndefined()
    expect(await store.inspect()).toEqual([
      { key: top.key, name: 'stage', fault: 'its record does not match its key' },
    ])
    write(top)
    expect(await store.find(top.key)).toEqual(top)
  })

  it('is read again as long as a change may leave its times as they are', async () => {
    vi.useRealTimers()
    const store = openStore(path())
    for (let year = 2030; year < 2060; year += 1) {
      write({ ...top, createdAt: `${year}-01-02T03:04:05.000Z` })
      expect((await store.find(top.key))?.createdAt).toBe(`${year}-01-02T03:04:05.000Z`)
    }
  })

  it('says nothing of a disk that has changed', async () => {
    const store = openStore(path())
    await store.list()
    writeFileSync(store.disk(top.key), 'longer')
    expect(await store.find(top.key)).toBeUndefined()
  })
})

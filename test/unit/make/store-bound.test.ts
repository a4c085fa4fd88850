import { mkdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { keepBound } from '../../../src/make/store-bound.ts'
import { planImage } from '../../../src/plan/plan.ts'
import type { BaseParts } from '../../../src/store/layer-key.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { seal } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()
const store = () => openStore(path('store'))

/** The sample with all its layers in the store; each takes 64 bytes. */
async function build(over: Partial<Pipeline>) {
  const image = await sampleImage(path(), over)
  const plan = await planImage(image, store())
  mkdirSync(path('store'), { recursive: true })
  for (const layer of [plan.base, ...plan.stages]) await seal(layer, store())
  return { image, plan }
}

async function bases(): Promise<readonly unknown[]> {
  const layers = await store().list()
  return layers.filter(({ name }) => name === 'base').map(({ parts }) => (parts as BaseParts).hostname)
}

it('keeps what a variant uses, also of one that was not built now, and what was just built', async () => {
  const present = await build({ hostname: 'present' })
  const sibling = await build({ hostname: 'sibling' })
  await build({ hostname: 'former' })
  const edited = await build({ hostname: 'edited' })
  // As if the pipeline had been edited while it was built.
  const bound = { maximumBytes: 1, images: [present.image, sibling.image] }
  const { removed, leftBytes } = await keepBound(store(), bound, edited.plan)
  expect(removed).toHaveLength(4)
  expect([...(await bases())].sort()).toEqual(['edited', 'present', 'sibling'])
  expect(leftBytes).toBe(3 * 4 * 64)
})

it('removes no more than it has to', async () => {
  const { image, plan } = await build({ hostname: 'present' })
  await build({ hostname: 'former' })
  const { removed } = await keepBound(store(), { maximumBytes: 7 * 64, images: [image] }, plan)
  expect(removed.map(({ name }) => name)).toEqual(['third'])
  expect(await keepBound(store(), { maximumBytes: 7 * 64, images: [image] }, plan)).toMatchObject({
    removed: [],
  })
})

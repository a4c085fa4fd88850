/** What happens often and should go unnoticed: planning on a full store, and holding a guest to seal its layer. */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseImages, defaultPipeline, loadPipeline } from '../src/config/load.ts'
import { sha256 } from '../src/digest.ts'
import { planImage } from '../src/plan/plan.ts'
import { keyOf, type LayerKey, type StageParts } from '../src/store/layer-key.ts'
import { choosePrunable } from '../src/store/prune.ts'
import { openStore } from '../src/store/store.ts'
import { recordedFacts } from '../test/support/layers.ts'
import { median } from './median.ts'

/** Seconds to plan and to verify every layer of the plan. The first of two runs warms up. */
export async function timePlanning(outFolder: string): Promise<number> {
  const [image] = chooseImages(await loadPipeline(defaultPipeline, []), [], false)
  if (image === undefined) throw new Error('the pipeline has no image')
  let seconds = 0
  for (let tries = 0; tries < 2; tries += 1) {
    const started = performance.now()
    const store = openStore(join(outFolder, 'store'))
    const { base, stages } = await planImage(image, store)
    for (const { cached } of [base, ...stages]) if (cached !== undefined) await store.verify(cached)
    seconds = (performance.now() - started) / 1000
  }
  return seconds
}

/** Seconds that guests were held for each layer of a store, where their state was not kept: the median and the most. */
export async function readHolds(outFolder: string): Promise<{ median: number; most: number }> {
  const layers = await openStore(join(outFolder, 'store')).list()
  const all = layers.flatMap(({ heldSeconds = 0 }) => (heldSeconds > 0 ? [heldSeconds] : []))
  return { median: median(all), most: Math.max(0, ...all) }
}

/** Seconds to sweep a store of many layers that are all sound, and to prune all but one chain of ten. */
export async function timeLargeStore(
  folder: string,
  count: number,
): Promise<{ readonly sweep: number; readonly prune: number }> {
  const chain = 10
  await mkdir(folder, { recursive: true })
  const store = openStore(folder)
  const used = new Set<string>()
  let parent: LayerKey | null = null
  for (let index = 0; index < count; index += 1) {
    const isBase: boolean = index % chain === 0
    const parts = isBase ? baseParts(index) : stageParts(index, parent as LayerKey)
    const key = keyOf(parts)
    const record = { key, name: isBase ? 'base' : 'stage', parent: isBase ? null : parent, parts, ...facts }
    await writeFile(store.disk(key), 'disk')
    await writeFile(join(folder, `${key}.json`), JSON.stringify(record))
    if (index >= count - chain) used.add(key)
    parent = key
  }
  const seconds = async (act: () => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    await act()
    return (performance.now() - started) / 1000
  }
  const sweep = await seconds(store.sweep)
  const prune = await seconds(async () => {
    const chosen = choosePrunable(await store.list(), { used, unusedForMs: 0, nowMs: Date.now() })
    await store.remove(...chosen.map(({ key }) => key))
  })
  const left = (await store.list()).length
  if (left !== used.size) throw new Error(`${left} layers are left of ${used.size} that are in use`)
  return { sweep, prune }
}

const facts = { ...recordedFacts, sha256: sha256('disk'), sizeBytes: 4 }

const baseParts = (index: number) => ({
  ...{ format: index, installer: 'bootstrap', suite: 'trixie', arch: 'x86_64' },
  ...{ scripts: [], command: sha256('command') },
})

const stageParts = (index: number, parent: LayerKey): StageParts => ({
  ...{ format: index, name: 'stage', script: sha256('script'), environment: {}, sourceDateEpoch: 0 },
  ...{ files: {}, leaves: [], network: false, parent },
})

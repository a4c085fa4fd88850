/** What is done often and should not be felt: planning on a full store, and holding a guest to seal its layer. */

import { join } from 'node:path'
import { chooseImages, defaultPipeline, loadPipeline } from '../src/config/load.ts'
import { planImage } from '../src/plan/plan.ts'
import { openStore } from '../src/store/store.ts'

/** Seconds to hash scripts and settings, and to make sure of every layer below the last stage. The first time warms up. */
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
  all.sort((a, b) => a - b)
  return { median: all[Math.floor(all.length / 2)] ?? 0, most: all.at(-1) ?? 0 }
}

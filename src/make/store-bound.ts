/** Keeps the store within its size: removes unused layers, oldest first, but never one that a variant uses. */

import type { ResolvedImage } from '../config/resolved.ts'
import { type Plan, planImage } from '../plan/plan.ts'
import { layersOf } from '../store/chain.ts'
import type { LayerKey } from '../store/layer-key.ts'
import type { Layer } from '../store/layer-record.ts'
import { choosePrunable, sizeOf } from '../store/prune.ts'
import { listedOnce, type Store } from '../store/store.ts'

export interface StoreBound {
  readonly maximumBytes: number
  /** Every image of the pipeline, including those not being built. */
  readonly images: readonly ResolvedImage[]
}

/** Keys of all layers that images use, whether or not the store has them. */
export async function keysInUse(
  images: readonly ResolvedImage[],
  store: Store,
): Promise<ReadonlySet<LayerKey>> {
  const listed = await listedOnce(store)
  const plans = await Promise.all(images.map((image) => planImage(image, listed)))
  return new Set(plans.flatMap(keysOf))
}

function keysOf(plan: Plan): readonly LayerKey[] {
  return layersOf(plan).map(({ key }) => key)
}

/**
 * Removes layers until the store is within its bound, as far as possible.
 * @param plan what was built: its layers stay even if the pipeline was edited in the meantime
 */
export async function keepBound(
  store: Store,
  { maximumBytes, images }: StoreBound,
  plan: Plan,
): Promise<{ readonly removed: readonly Layer[]; readonly leftBytes: number }> {
  const used = new Set([...(await keysInUse(images, store)), ...keysOf(plan)])
  const layers = await store.list()
  const nowMs = Date.now()
  const removed = choosePrunable(layers, { used, maxBytes: maximumBytes, spareUsed: true, nowMs })
  await store.remove(...removed.map(({ key }) => key))
  return { removed, leftBytes: sizeOf(layers) - sizeOf(removed) }
}

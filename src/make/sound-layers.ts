/** A plan that uses only layers that match their digests. */

import type { ResolvedImage } from '../config/resolved.ts'
import { type Plan, type PlanOptions, planImage } from '../plan/plan.ts'
import { layersOf } from '../store/chain.ts'
import type { StoreFault } from '../store/entries.ts'
import type { Layer } from '../store/layer-record.ts'
import type { Store } from '../store/store.ts'
import { isFinished } from './export-images.ts'

export interface SoundPlanRequest {
  readonly image: ResolvedImage
  readonly planning: PlanOptions
  readonly outFolder: string
  readonly signal?: AbortSignal
  /** Called for each layer that does not match its record. It is removed, along with those above it. */
  readonly onDamaged: (fault: StoreFault) => void
}

/** Plans, and plans again without the layers that do not match their records. */
export async function planOnSoundLayers(request: SoundPlanRequest, store: Store): Promise<Plan> {
  const { image, planning, outFolder, onDamaged, signal } = request
  for (;;) {
    const plan = await planImage(image, store, { ...planning, signal })
    // Nothing will be built on these layers, so they need no check.
    if (await isFinished(plan, outFolder)) return plan
    const damaged = await findDamaged(plan, store)
    if (damaged === undefined) return plan
    onDamaged({ key: damaged.key, name: damaged.name, fault: 'its disk does not match its digest' })
    await store.remove(damaged.key)
  }
}

async function findDamaged(plan: Plan, store: Store): Promise<Layer | undefined> {
  for (const { cached } of layersOf(plan)) {
    if (cached !== undefined && !(await store.verify(cached))) return cached
  }
  return undefined
}

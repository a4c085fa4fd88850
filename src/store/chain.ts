/** A layer with everything below it. */

import type { Layer } from './layer-record.ts'
import type { Store } from './store.ts'

/** A base and the stage layers above it, lowest first. */
export function layersOf<Base, Stage>(of: {
  readonly base: Base
  readonly stages: readonly Stage[]
}): readonly (Base | Stage)[] {
  return [of.base, ...of.stages]
}

/** A layer and all below it, lowest first. Starts above the base if a layer in between is gone. */
export async function layersUpTo(layer: Layer, store: Store): Promise<readonly Layer[]> {
  const below = layer.parent === null ? undefined : await store.find(layer.parent)
  return below === undefined ? [layer] : [...(await layersUpTo(below, store)), layer]
}

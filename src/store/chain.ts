/** A layer with everything below it. */

import type { Layer } from './layer-record.ts'
import type { Store } from './store.ts'

/** A base, the stage layers above it, and the final disk if there is one, lowest first. */
export function layersOf<Base, Stage, Final = never>(of: {
  readonly base: Base
  readonly stages: readonly Stage[]
  readonly final?: Final | undefined
}): readonly (Base | Stage | Final)[] {
  return [of.base, ...of.stages, ...(of.final === undefined ? [] : [of.final])]
}

/** A layer and all layers below it, lowest first. Starts above the base if a layer in between is gone. */
export async function layersUpTo(layer: Layer, store: Store): Promise<readonly Layer[]> {
  const below = layer.parent === null ? undefined : await store.find(layer.parent)
  return below === undefined ? [layer] : [...(await layersUpTo(below, store)), layer]
}

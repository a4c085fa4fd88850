/** A layer with all that it stands on. */

import type { Layer, Store } from './store.ts'

/** Layers of whatever kind, a base with those that stages leave above it, lowest first. */
export function layersOf<Base, Stage>(of: {
  readonly base: Base
  readonly stages: readonly Stage[]
}): readonly (Base | Stage)[] {
  return [of.base, ...of.stages]
}

/** A layer and all below it, lowest first. Begins above the base where one of them is gone. */
export async function layersUpTo(layer: Layer, store: Store): Promise<readonly Layer[]> {
  const below = layer.parent === null ? undefined : await store.find(layer.parent)
  return below === undefined ? [layer] : [...(await layersUpTo(below, store)), layer]
}

/** A layer with all that it stands on. */

import type { Layer, Store } from './store.ts'

/** A layer and all below it, lowest first. Begins above the base where one of them is gone. */
export async function layersUpTo(layer: Layer, store: Store): Promise<readonly Layer[]> {
  const below = layer.parent === null ? undefined : await store.find(layer.parent)
  return below === undefined ? [layer] : [...(await layersUpTo(below, store)), layer]
}

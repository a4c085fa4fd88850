/** Layers on top of one another. Loops, since a store that others can write to may hold a chain of any length. */

import { type BaseParts, isBase, type LayerKey } from './layer-key.ts'
import type { Layer } from './layer-record.ts'

/** A base, the stage layers above it, and the final disk if there is one, lowest first. */
export function layersOf<Base, Stage, Final = never>(of: {
  readonly base: Base
  readonly stages: readonly Stage[]
  readonly final?: Final | undefined
}): readonly (Base | Stage | Final)[] {
  return [of.base, ...of.stages, ...(of.final === undefined ? [] : [of.final])]
}

/** A layer and all layers below it, lowest first. Starts above the base if a layer in between is gone. */
export async function layersUpTo(
  layer: Layer,
  store: { readonly find: (key: LayerKey) => Promise<Layer | undefined> },
): Promise<readonly Layer[]> {
  const found: Layer[] = []
  let at: Layer | undefined = layer
  while (at !== undefined) {
    found.push(at)
    at = at.parent === null ? undefined : await store.find(at.parent)
  }
  return found.reverse()
}

/** What made the base below each of some layers; undefined where the base, or a layer above it, is not among them. */
export function basesOf(layers: readonly Layer[]): ReadonlyMap<Layer, BaseParts | undefined> {
  const byKey = new Map(layers.map((layer) => [layer.key, layer]))
  const bases = new Map<Layer, BaseParts | undefined>()
  for (const layer of layers) {
    const passed: Layer[] = []
    let base: BaseParts | undefined
    let at: Layer | undefined = layer
    while (at !== undefined && !bases.has(at)) {
      passed.push(at)
      if (isBase(at.parts)) base = at.parts
      at = at.parent === null ? undefined : byKey.get(at.parent)
    }
    if (at !== undefined) base = bases.get(at)
    for (const one of passed) bases.set(one, base)
  }
  return bases
}

/** These keys and those of all layers above them, each after the ones above it. */
export function withThoseAbove(
  keys: readonly LayerKey[],
  layers: readonly Pick<Layer, 'key' | 'parent'>[],
): ReadonlySet<LayerKey> {
  const above = new Map<LayerKey, LayerKey[]>()
  for (const { key, parent } of layers) {
    if (parent === null) continue
    const siblings = above.get(parent)
    if (siblings === undefined) above.set(parent, [key])
    else siblings.push(key)
  }
  const found = new Set<LayerKey>()
  const climbed = [...keys]
  for (let key = climbed.at(-1); key !== undefined; key = climbed.at(-1)) {
    const higher = above.get(key)?.pop()
    if (higher !== undefined) climbed.push(higher)
    else {
      found.add(key)
      climbed.pop()
    }
  }
  return found
}

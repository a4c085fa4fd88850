/** Which layers can go: never one that another stands on which stays. */

import type { Layer } from './store.ts'

export interface PruneRules {
  /** Keys of the layers that today's pipeline uses. */
  readonly used: ReadonlySet<string>
  /** Remove layers that are not used and were made before this instant, in milliseconds since 1970. */
  readonly unusedBefore?: number | undefined
  /** Then remove the oldest, used ones last, until the rest is no larger. */
  readonly maxBytes?: number | undefined
}

/** Chooses layers to remove, those on top before those below. */
export function choosePrunable(layers: readonly Layer[], rules: PruneRules): readonly Layer[] {
  const { used, unusedBefore, maxBytes } = rules
  const left = new Map(layers.map((layer) => [layer.key, layer]))
  const chosen: Layer[] = []
  const isTop = (layer: Layer) => ![...left.values()].some(({ parent }) => parent === layer.key)
  const take = (layer: Layer) => {
    left.delete(layer.key)
    chosen.push(layer)
  }
  const age = (layer: Layer) => Date.parse(layer.createdAt)

  const isOld = (layer: Layer) =>
    unusedBefore !== undefined && !used.has(layer.key) && age(layer) < unusedBefore
  for (;;) {
    const next = [...left.values()].find((layer) => isOld(layer) && isTop(layer))
    if (next === undefined) break
    take(next)
  }
  const size = () => [...left.values()].reduce((sum, layer) => sum + layer.sizeBytes, 0)
  while (maxBytes !== undefined && left.size > 0 && size() > maxBytes) {
    const tops = [...left.values()].filter(isTop)
    tops.sort((a, b) => Number(used.has(a.key)) - Number(used.has(b.key)) || age(a) - age(b))
    take(tops[0] as Layer)
  }
  return chosen
}

/** A layer with what stands on it. */
export interface LayerTree {
  readonly layer: Layer
  readonly above: readonly LayerTree[]
}

/** Layers as trees, oldest first; one whose parent is gone stands as a root. */
export function growTrees(layers: readonly Layer[]): readonly LayerTree[] {
  const sorted = [...layers].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
  const keys = new Set(layers.map(({ key }) => key))
  const grow = (layer: Layer): LayerTree => ({
    layer,
    above: sorted.filter(({ parent }) => parent === layer.key).map(grow),
  })
  return sorted.filter(({ parent }) => parent === null || !keys.has(parent)).map(grow)
}

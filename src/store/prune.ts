/** Chooses which layers can be removed: never one below a layer that stays. */

import type { Layer } from './layer-record.ts'

export interface PruneRules {
  /** Keys of the layers that the current pipeline uses. */
  readonly used: ReadonlySet<string>
  /** Remove unused layers that are at least this old. */
  readonly unusedForMs?: number | undefined
  /** Then remove the oldest layers, used ones last, until the rest fits. */
  readonly maxBytes?: number | undefined
  /** Never remove a used layer. @default false */
  readonly spareUsed?: boolean
  /** Milliseconds since 1970. A layer with a date in the future, from a wrong clock, counts as new. */
  readonly nowMs: number
}

/** Chooses layers to remove, each before the layer below it. */
export function choosePrunable(layers: readonly Layer[], rules: PruneRules): readonly Layer[] {
  const { used, unusedForMs, maxBytes, spareUsed = false, nowMs } = rules
  const stack = stackOf(layers)
  const ageMs = (layer: Layer) => Math.max(0, nowMs - Date.parse(layer.createdAt))
  const chosen: Layer[] = []
  const take = (layer: Layer) => {
    chosen.push(layer)
    return stack.take(layer)
  }

  const isOld = (layer: Layer) =>
    unusedForMs !== undefined && !used.has(layer.key) && ageMs(layer) >= unusedForMs
  const old = stack.tops().filter(isOld)
  for (const layer of old) {
    const bared = take(layer)
    if (bared !== undefined && isOld(bared)) old.push(bared)
  }
  if (maxBytes === undefined) return chosen

  let leftBytes = sizeOf(layers) - sizeOf(chosen)
  const isSpared = (layer: Layer) => spareUsed && used.has(layer.key)
  /** Negative if `a` goes first. */
  const compare = (a: Layer, b: Layer) =>
    Number(used.has(a.key)) - Number(used.has(b.key)) || ageMs(b) - ageMs(a)
  const next = stack.tops().filter((layer) => !isSpared(layer))
  next.sort(compare)
  while (leftBytes > maxBytes) {
    const layer = next.shift()
    if (layer === undefined) break
    leftBytes -= layer.sizeBytes
    const bared = take(layer)
    if (bared === undefined || isSpared(bared)) continue
    next.splice(
      placeIn(next, (other) => compare(bared, other) < 0),
      0,
      bared,
    )
  }
  return chosen
}

/** Index of the first item that holds true, in a list where it also does for all after it; the end if none does. */
function placeIn<Item>(items: readonly Item[], isAfter: (item: Item) => boolean): number {
  let [low, high] = [0, items.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isAfter(items[middle] as Item)) high = middle
    else low = middle + 1
  }
  return low
}

/** Layers on top of one another, to be removed one by one from the top. */
function stackOf(layers: readonly Layer[]) {
  const left = new Map(layers.map((layer) => [layer.key, layer]))
  const above = new Map<string, number>()
  const count = (key: string | null, difference: number): number => {
    if (key === null) return 0
    const now = (above.get(key) ?? 0) + difference
    above.set(key, now)
    return now
  }
  for (const { parent } of layers) count(parent, 1)
  return {
    tops: () => [...left.values()].filter(({ key }) => (above.get(key) ?? 0) === 0),
    /** Returns the layer below if nothing is left on top of it. */
    take: ({ key, parent }: Layer): Layer | undefined => {
      left.delete(key)
      return count(parent, -1) === 0 && parent !== null ? left.get(parent) : undefined
    },
  }
}

/** Total bytes. */
export function sizeOf(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
}

/** A layer with the layers above it. */
export interface LayerTree {
  readonly layer: Layer
  readonly above: readonly LayerTree[]
}

/** Layers as trees, oldest first; a layer whose parent is gone becomes a root. */
export function growTrees(layers: readonly Layer[]): readonly LayerTree[] {
  const sorted = [...layers].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
  const trees = new Map<string, { readonly layer: Layer; readonly above: LayerTree[] }>(
    sorted.map((layer) => [layer.key, { layer, above: [] }]),
  )
  const roots: LayerTree[] = []
  for (const tree of trees.values()) {
    const { parent } = tree.layer
    const below = parent === null ? undefined : trees.get(parent)
    if (below === undefined) roots.push(tree)
    else below.above.push(tree)
  }
  return roots
}

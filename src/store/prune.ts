/** Chooses which layers can go: never one below a layer that stays. */

import type { Layer } from './store.ts'

export interface PruneRules {
  /** Keys of the layers that the current pipeline uses. */
  readonly used: ReadonlySet<string>
  /** Remove unused layers that are at least this old. */
  readonly unusedForMs?: number | undefined
  /** Then remove the oldest layers, used ones last, until the rest fits. */
  readonly maxBytes?: number | undefined
  /** Never remove a used layer. @default false */
  readonly spareUsed?: boolean
  /** Milliseconds since 1970. A layer dated in the future, by a wrong clock, counts as new. */
  readonly nowMs: number
}

/** Chooses layers to remove, each before the layer below it. */
export function choosePrunable(layers: readonly Layer[], rules: PruneRules): readonly Layer[] {
  const { used, unusedForMs, maxBytes, spareUsed = false, nowMs } = rules
  const left = new Map(layers.map((layer) => [layer.key, layer]))
  const chosen: Layer[] = []
  const isTop = (layer: Layer) => ![...left.values()].some(({ parent }) => parent === layer.key)
  const take = (layer: Layer) => {
    left.delete(layer.key)
    chosen.push(layer)
  }
  const ageMs = (layer: Layer) => Math.max(0, nowMs - Date.parse(layer.createdAt))

  const isOld = (layer: Layer) =>
    unusedForMs !== undefined && !used.has(layer.key) && ageMs(layer) >= unusedForMs
  for (;;) {
    const next = [...left.values()].find((layer) => isOld(layer) && isTop(layer))
    if (next === undefined) break
    take(next)
  }
  while (maxBytes !== undefined && left.size > 0 && sizeOf([...left.values()]) > maxBytes) {
    const tops = [...left.values()].filter((layer) => isTop(layer) && !(spareUsed && used.has(layer.key)))
    tops.sort((a, b) => Number(used.has(a.key)) - Number(used.has(b.key)) || ageMs(b) - ageMs(a))
    if (tops[0] === undefined) break
    take(tops[0])
  }
  return chosen
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
  const keys = new Set(layers.map(({ key }) => key))
  const grow = (layer: Layer): LayerTree => ({
    layer,
    above: sorted.filter(({ parent }) => parent === layer.key).map(grow),
  })
  return sorted.filter(({ parent }) => parent === null || !keys.has(parent)).map(grow)
}

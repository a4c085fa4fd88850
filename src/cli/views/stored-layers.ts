/** The layers of a store for people: a table with a row for each, as trees. */

import { formatAge, formatBytes, formatTable, plural } from '../../report/format.ts'
import type { Layer } from '../../store/layer-record.ts'
import { growTrees, type LayerTree, sizeOf } from '../../store/prune.ts'
import type { SavedState } from '../../store/states.ts'

export interface StoredLayers {
  readonly layers: readonly Layer[]
  /** Saved states of all layers. */
  readonly saved: readonly SavedState[]
  /** Variants that use each layer, by key. */
  readonly users: ReadonlyMap<string, readonly string[]>
}

/** Ends with a line feed. */
export function renderStoredLayers({ layers, saved, users }: StoredLayers): string {
  const stateBytes = new Map<string, number>()
  for (const { layer, sizeBytes } of saved) stateBytes.set(layer, (stateBytes.get(layer) ?? 0) + sizeBytes)
  const rows = placed(growTrees(layers)).map(({ tree: { layer }, prefix }) => {
    const { name, sizeBytes, createdAt, key } = layer
    const ofStates = stateBytes.get(key) ?? 0
    return [
      `${prefix}${name}`,
      formatBytes(sizeBytes),
      ofStates === 0 ? '' : formatBytes(ofStates),
      formatAge((Date.now() - Date.parse(createdAt)) / 1000),
      key.slice(0, 12),
      (users.get(key) ?? []).join(' '),
    ]
  })
  const head = ['layer', 'size', 'state', 'age', 'key', 'used by']
  const counts = [`${plural(layers.length, 'layer')}, ${formatBytes(sizeOf(layers))}`]
  if (saved.length > 0) counts.push(`${plural(saved.length, 'state')}, ${formatBytes(sizeOf(saved))}`)
  return `${formatTable([head, ...rows], [false, true, true, true])}\n${counts.join('; ')}\n`
}

// --- internal ---

interface Place {
  readonly tree: LayerTree
  /** Comes before the layer's name. */
  readonly prefix: string
  /** Comes before the names of the layers built on it. */
  readonly rest: string
}

/** More would be as wide as the store has layers. */
const mostIndent = 60

/**
 * Layers in the order of their rows. A chain is not indented: indentation shows where several layers share the one below. A
 * loop, since a chain can be of any length.
 */
function placed(roots: readonly LayerTree[]): readonly Place[] {
  const found: Place[] = []
  const ahead = roots.map((tree) => ({ tree, prefix: '', rest: '' })).reverse()
  for (let place = ahead.pop(); place !== undefined; place = ahead.pop()) {
    found.push(place)
    for (const one of above(place).reverse()) ahead.push(one)
  }
  return found
}

/** The places of the layers on a layer. */
function above({ tree, rest }: Place): Place[] {
  const layers = tree.above
  if (layers.length === 1) return layers.map((one) => ({ tree: one, prefix: rest, rest }))
  return layers.map((one, index) => {
    const [branch, indent] = index === layers.length - 1 ? ['└─ ', '   '] : ['├─ ', '│  ']
    const isDeep = rest.length >= mostIndent
    return { tree: one, prefix: `${rest}${branch}`, rest: isDeep ? rest : `${rest}${indent}` }
  })
}

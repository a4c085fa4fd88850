/** The positions of a YAML document's values in its text. */

import { type Document, isMap, isNode, isScalar, isSeq } from 'yaml'
import { pathKey } from './typed-texts.ts'
import type { Span } from './yaml.ts'

/** By `pathKey`. A repeated value has the position of its alias. */
export interface Spans {
  readonly keys: ReadonlyMap<string, Span>
  readonly values: ReadonlyMap<string, Span>
}

export function spansOf(document: Document): Spans {
  const keys = new Map<string, Span>()
  const values = new Map<string, Span>()
  const walk = (node: unknown, path: readonly PropertyKey[]): void => {
    const span = spanOf(node)
    if (span !== undefined) values.set(pathKey(path), span)
    if (isSeq(node)) for (const [index, item] of node.items.entries()) walk(item, [...path, index])
    if (!isMap(node)) return
    for (const { key, value } of node.items) {
      const inner = [...path, String(isScalar(key) ? key.value : key)]
      const ofKey = spanOf(key)
      if (ofKey !== undefined) keys.set(pathKey(inner), ofKey)
      walk(value, inner)
    }
  }
  walk(document.contents, [])
  return { keys, values }
}

/** The span of a node without the spaces and comments that follow it. */
function spanOf(node: unknown): Span | undefined {
  const range = isNode(node) ? node.range : undefined
  return range ? [range[0], range[1]] : undefined
}

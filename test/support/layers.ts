/** Layers as a build leaves them, without building. */

import { writeFileSync } from 'node:fs'
import { sha256 } from '../../src/digest.ts'
import type { PlannedLayer } from '../../src/plan/plan.ts'
import { keyOf, type LayerKey, type LayerParts } from '../../src/store/layer-key.ts'
import type { Layer } from '../../src/store/layer-record.ts'
import type { Store } from '../../src/store/store.ts'

/** Fields of a record that do not affect a layer's place in the store. */
export const recordedFacts = {
  createdAt: '2026-01-02T03:04:05.000Z',
  buildTimeSeconds: 1,
  log: '',
  artifacts: [],
  packages: { added: [], removed: [], upgraded: [] },
  bytesWritten: 0,
  tools: {},
}

/** Puts a planned layer into a store, with its own key in place of a disk unless there is one. */
export async function seal(
  planned: PlannedLayer,
  store: Store,
  disk: string | Uint8Array = planned.key,
): Promise<Layer> {
  writeFileSync(store.disk(planned.key), disk)
  return record(planned, store)
}

/** Records an existing disk as a planned layer. */
export async function record({ key, name, parent, parts }: PlannedLayer, store: Store): Promise<Layer> {
  return store.commit({
    key,
    name,
    parent,
    parts,
    ...recordedFacts,
  })
}

/** A base and stages on top of one another, each with an empty disk. */
export function chainOf(count: number): readonly Layer[] {
  const layers: Layer[] = []
  let parent: LayerKey | null = null
  for (let index = 0; index < count; index += 1) {
    const parts: LayerParts = parent === null ? baseParts : { ...stageParts, parent }
    const key = keyOf(parts)
    const name = parent === null ? 'base' : 'stage'
    layers.push({ ...recordedFacts, key, name, parent, parts, sha256: sha256(''), sizeBytes: 0 })
    parent = key
  }
  return layers
}

const baseParts = {
  ...{ format: 1, installer: 'bootstrap', suite: 'trixie', arch: 'x86_64' },
  ...{ scripts: [], command: sha256('command') },
}

const stageParts = {
  ...{ format: 1, name: 'stage', script: sha256('script'), environment: {}, sourceDateEpoch: 0 },
  ...{ files: {}, leaves: [], network: false },
}

/** Layers as a build leaves them, without building. */

import { writeFileSync } from 'node:fs'
import type { PlannedLayer } from '../../src/plan/plan.ts'
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

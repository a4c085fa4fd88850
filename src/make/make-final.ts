/** Makes the disk that images are made from. */

import { secondsSince } from '../host/elapsed.ts'
import { noteFolder } from '../host/run-folder.ts'
import { createScratchFolder } from '../host/scratch-folder.ts'
import { repack } from '../repack/repack.ts'
import type { Layer } from '../store/layer-record.ts'
import type { Run } from './run.ts'

/** Returns the final layer: the last stage's own if the plan has none. Makes it if the store does not have it. */
export async function makeFinal(run: Run, last: Layer): Promise<Layer> {
  const { plan, store, runFolder, emit, estimates, request } = run
  const { final, image } = plan
  if (final === undefined) return last
  if (final.cached !== undefined) return final.cached
  emit({ kind: 'part-started', name: final.name, estimateSeconds: estimates.of(final.name) })
  const started = performance.now()
  await store.remove(final.key)
  const scratch = await createScratchFolder((folder) => noteFolder(runFolder.path, folder))
  try {
    await repack({
      from: store.disk(last.key),
      to: store.disk(final.key),
      epoch: image.sourceDateEpoch,
      folder: scratch.folder,
      onProgress: (text) => emit({ kind: 'part-progress', name: final.name, text }),
      signal: request.signal,
    })
  } finally {
    await scratch.remove()
  }
  const seconds = secondsSince(started)
  run.final = await store.commit({
    key: final.key,
    name: final.name,
    parent: last.key,
    parts: final.parts,
    createdAt: new Date().toISOString(),
    buildTimeSeconds: seconds,
    log: '',
    artifacts: [],
    packages: { added: [], removed: [], upgraded: [] },
    bytesWritten: 0,
    tools: run.tools.versions,
  })
  emit({ kind: 'part-finished', name: final.name, seconds })
  return run.final
}

/** Records what the image of a run is made from. */

import { secondsSince } from '../host/elapsed.ts'
import { gatherInputs, isOfLayers } from '../provenance/gather.ts'
import { readInputs } from '../provenance/inputs.ts'
import { requireSameInputs } from '../provenance/lock.ts'
import { layersUpTo } from '../store/chain.ts'
import type { Layer } from '../store/layer-record.ts'
import type { Run } from './run.ts'

/**
 * Records what the image is made from, next to the image.
 * @throws PipelineError `lock-mismatch` if it differs from the lock
 */
export async function recordInputs(run: Run, final: Layer): Promise<void> {
  const { plan, store, runFolder, emit, request } = run
  const { locked, signal } = request
  const outFolder = runFolder.outFolder
  const layers = await layersUpTo(final, store)
  const known = await readInputs(outFolder, final.key)
  const isKnown = known !== undefined && isOfLayers(known, layers)
  if (!isKnown) emit({ kind: 'part-started', name: 'inputs', estimateSeconds: run.estimates.of('inputs') })
  const started = performance.now()
  try {
    const inputs = await gatherInputs({ image: plan.image, layers, store, outFolder, signal })
    run.packages = inputs.packages
    if (locked !== undefined) requireSameInputs(inputs, locked)
  } catch (error) {
    // An image without this record is still an image, unless it was built with --locked.
    if (locked !== undefined || signal.aborted) throw error
    emit({ kind: 'note', text: `what the image is made from is not recorded: ${(error as Error).message}` })
  }
  const seconds = secondsSince(started)
  if (!isKnown) emit({ kind: 'part-finished', name: 'inputs', seconds })
  if (locked === undefined && request.packages === undefined && plan.image.mirror.snapshot === undefined) {
    emit({ kind: 'note', text: 'not pinned: the packages are those that the mirror served' })
  }
}

/** What the image of a run is made from, kept beside it. */

import { gatherInputs, isOfLayers } from '../provenance/gather.ts'
import { readInputs } from '../provenance/inputs.ts'
import { requireSameInputs } from '../provenance/lock.ts'
import { layersUpTo } from '../store/chain.ts'
import type { Layer } from '../store/store.ts'
import type { Run } from './run.ts'

/** Keeps what the image is made from beside it. @throws PipelineError `lock-mismatch` where that is not what is locked */
export async function recordInputs(run: Run, final: Layer): Promise<void> {
  const { plan, store, place, emit, request } = run
  const { locked, signal } = request
  const outFolder = place.outFolder
  const layers = await layersUpTo(final, store)
  const known = await readInputs(outFolder, final.key)
  const isKnown = known !== undefined && isOfLayers(known, layers)
  if (!isKnown) emit({ kind: 'part-started', name: 'inputs', estimateSeconds: run.estimates.of('inputs') })
  const started = performance.now()
  try {
    const inputs = await gatherInputs({ image: plan.image, layers, store, outFolder, signal })
    if (locked !== undefined) requireSameInputs(inputs, locked)
  } catch (error) {
    // An image of which this cannot be told is an image all the same, unless it has been promised.
    if (locked !== undefined || signal.aborted) throw error
    emit({ kind: 'note', text: `what the image is made from is not recorded: ${(error as Error).message}` })
  }
  const seconds = Math.round(performance.now() - started) / 1000
  if (!isKnown) emit({ kind: 'part-finished', name: 'inputs', seconds })
  if (locked === undefined && plan.image.mirror.snapshot === undefined) {
    emit({ kind: 'note', text: 'not pinned: the packages are those that the mirror has served' })
  }
}

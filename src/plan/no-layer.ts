/** The error for a layer that a person names, and that is not in the store. */

import { exitCodes, PipelineError } from '../errors.ts'
import type { PlannedLayer } from './plan.ts'

/**
 * @param planned the layer of that name; undefined if there is none
 * @param layers all layers of the plan, to say which are there
 * @param kind what the name may be of
 */
export function noLayer(
  name: string,
  planned: PlannedLayer | undefined,
  layers: readonly PlannedLayer[],
  kind = 'stage',
): PipelineError {
  const there = layers.flatMap((layer) => (layer.cached === undefined ? [] : [layer.name]))
  return new PipelineError({
    code: 'no-layer',
    message:
      planned === undefined
        ? `there is no ${kind} ${JSON.stringify(name)}`
        : `stage ${name} has no layer yet`,
    hint: there.length === 0 ? 'build the image first.' : `name one that has a layer: ${there.join(', ')}.`,
    exitCode: exitCodes.badInput,
  })
}

/** A layer that a user names, but that does not exist. */

import { exitCodes, PipelineError } from '../errors.ts'

/**
 * @param what kind of name, e.g. `stage`
 * @param layers those that the image consists of
 */
export function noLayer(
  name: string,
  what: string,
  layers: readonly { readonly name: string; readonly cached: unknown }[],
): PipelineError {
  const isKnown = layers.some((layer) => layer.name === name)
  const namesOf = (some: typeof layers) => some.map((layer) => layer.name).join(', ')
  const made = layers.filter(({ cached }) => cached !== undefined)
  const thereAre = made.length === 0 ? 'build the image first.' : `there are layers of ${namesOf(made)}`
  return new PipelineError({
    code: 'no-layer',
    message: isKnown ? `stage ${name} has no layer yet` : `there is no ${what} ${JSON.stringify(name)}`,
    hint: isKnown ? thereAre : `this image has ${namesOf(layers)}`,
    exitCode: exitCodes.badInput,
  })
}

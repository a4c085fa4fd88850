/** Checks that a tag matches the pipeline's release. */

import { exitCodes, PipelineError } from '../errors.ts'

/**
 * The tag of release 4.22.0 is `4.22.0`, `v4.22.0` or `<name>-4.22.0`.
 * @throws PipelineError `tag-mismatch`
 */
export function requireTag(
  tag: string,
  { name, release }: { readonly name: string; readonly release: string },
): void {
  const fitting = [`v${release}`, release, `${name}-${release}`]
  if (fitting.includes(tag.replace(/^refs\/tags\//, ''))) return
  throw new PipelineError({
    code: 'tag-mismatch',
    message: `the tag ${JSON.stringify(tag)} is not for release ${release}, which pipeline.ts makes`,
    hint: `tag the commit ${fitting.join(' or ')}, or set release in pipeline.ts.`,
    exitCode: exitCodes.badInput,
    details: { tag, release },
  })
}

/** What a pipeline requires right now, up to the stage being worked on, and the files that determine it. */

import { parseFileSource } from '../config/file-source.ts'
import type { ResolvedImage, ResolvedStage } from '../config/resolved.ts'
import { type Plan, planImage } from '../plan/plan.ts'
import type { LayerKey } from '../store/layer-key.ts'
import type { Store } from '../store/store.ts'

/** What a build has to make. */
export interface Target {
  readonly image: ResolvedImage
  /** Up to the stage being worked on. */
  readonly plan: Plan
  /** The stage being worked on. */
  readonly stage: string
  /** Key of its layer. */
  readonly key: LayerKey
}

/** @param until the stage being worked on; the last one if undefined @throws PipelineError `unknown-stage` */
export async function planTarget(
  image: ResolvedImage,
  until: string | undefined,
  store: Store,
  signal: AbortSignal,
): Promise<Target> {
  const plan = await planImage(image, store, { until: until ?? image.stages.at(-1)?.name, signal })
  const last = plan.stages.at(-1) as Plan['stages'][number]
  return { image, plan, stage: last.name, key: last.key }
}

/** Paths on the host of everything that the stages of an image are made from, except the pipeline. */
export function sourcesOf({ stages }: ResolvedImage): readonly string[] {
  return stages.flatMap(sourcesOfStage)
}

function sourcesOfStage({ script, files, sources }: ResolvedStage): readonly string[] {
  // A tarball is unpacked elsewhere.
  const written = Object.values(sources).map(parseFileSource)
  const local = written.filter(({ isUrl }) => !isUrl).map(({ location }) => location)
  return [script, ...Object.values(files), ...local]
}

/** What a build does about packages that have been fixed since its layers were made. */

import { judgeFreshness, lookAtFreshness, packagesOfPlan } from '../plan/freshness.ts'
import { type Plan, planImage } from '../plan/plan.ts'
import { describeFreshness } from '../report/freshness.ts'
import { layersUpTo } from '../store/chain.ts'
import type { Layer } from '../store/layer-record.ts'
import { packagesOf } from '../store/packages.ts'
import type { Store } from '../store/store.ts'
import type { BuildRequest, Run } from './run.ts'

/**
 * With `--refresh`: the plan, or one that starts from layer 0 if the archives have newer packages than its layers.
 * @throws PipelineError with a code that begins with `mirror-` or `keyring-`
 */
export async function refreshed(plan: Plan, request: BuildRequest, store: Store): Promise<Plan> {
  const { image, planning, outFolder, signal, emit } = request
  if (request.refresh !== true || plan.base.cached === undefined) return plan
  const packages = packagesOfPlan(plan)
  const freshness = await judgeFreshness({ image, packages, outFolder, signal })
  const says = (text: string) =>
    emit({ kind: 'note', text: `updates: ${describeFreshness(freshness)}${text}` })
  if (freshness.updates.length === 0) {
    says('')
    return plan
  }
  const pinned = pinOf(image)
  if (pinned !== undefined) {
    says(`; ${pinned}`)
    return plan
  }
  says('; every layer is rebuilt')
  return planImage(image, store, { ...planning, signal, ignoreStore: true })
}

/** Why another installation would install the same packages; undefined if it would not. */
function pinOf({ installer, mirror }: BuildRequest['image']): string | undefined {
  if (installer === 'disk-image')
    return 'layer 0 is a disk image: to get them, set installer.image to a newer one'
  if (mirror.snapshot === undefined) return undefined
  return `packages are pinned to the snapshot ${mirror.snapshot}: to get them, use a later one`
}

/** The archives may be slow, but it is worth the wait to know whether a finished image is current. */
const patienceMs = 20_000

/** Compares the finished image with the archives, for the report. Never fails a build. */
export async function recordFreshness(run: Run, final: Layer): Promise<void> {
  const { plan, store, runFolder, emit, request } = run
  if (request.packages !== undefined) return
  const packages = packagesOf(await layersUpTo(final, store))
  run.freshness = await lookAtFreshness(
    { image: plan.image, packages, outFolder: runFolder.outFolder, signal: request.signal },
    patienceMs,
  )
  if (run.freshness.status === 'current') return
  const advice = run.freshness.status === 'outdated' ? '; build --refresh rebuilds every layer' : ''
  emit({ kind: 'note', text: `updates: ${describeFreshness(run.freshness)}${advice}` })
}

/** Runs the stages of an image, with a mirror or a package set. */

import { archivesOf, renderSetSourceLines } from '../debian/archives.ts'
import { lackOf } from '../debian/package-set.ts'
import { startSetServer } from '../debian/set-server.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { layoutOf, type Plan, type PlannedStage } from '../plan/plan.ts'
import type { GuestPackages } from '../stages/agent.ts'
import { runStages, type StagesOutcome } from '../stages/run-stages.ts'
import type { Layer } from '../store/layer-record.ts'
import { packagesOf } from '../store/packages.ts'
import { openStates } from '../store/states.ts'
import { accelerate } from './accelerate.ts'
import type { Run } from './run.ts'

/** Runs the stages whose layers are missing from the store, and returns the last layer. */
export async function buildStages(run: Run, base: Layer): Promise<Layer> {
  const { plan, store, runFolder, emit, request } = run
  const cached = plan.stages.filter((stage) => stage.cached !== undefined)
  const stages = plan.stages.slice(cached.length)
  for (const stage of run.stages.slice(0, cached.length)) emit({ kind: 'stage-finished', stage })
  const below = [base, ...cached.flatMap((stage) => stage.cached ?? [])]
  const parent = below.at(-1) as Layer
  if (stages.length === 0) return parent
  const layout = layoutOf(plan.image, base.key, base)
  if (layout === undefined) throw new Error('layer 0 was made, and its partitions do not fit the disk')
  const { results, failure } = await withPackages(run, stages, (packages) =>
    runStages({
      plan: { ...plan, layout },
      stages,
      parent,
      installed: packagesOf(below),
      store,
      runFolder,
      acceleration: (kernel) => accelerate(run, kernel),
      states: openStates(outFolderAt(request.outFolder).states, request.signal),
      packer: run.tools.packer,
      qemuVersion: run.tools.versions[`qemu-system-${plan.image.arch}`] ?? '',
      tools: run.tools.versions,
      estimate: run.estimates.of,
      decide: request.decide,
      workedOn: request.workedOn,
      throwAway: request.throwAway,
      packages,
      emit,
      signal: request.signal,
    }),
  )
  run.stages = [...run.stages.slice(0, cached.length), ...results]
  if (failure !== undefined) throw failure
  const { key, name } = stages.at(-1) as Plan['stages'][number]
  const last = await store.find(key)
  if (name === request.throwAway) await store.remove(key)
  if (last === undefined) throw new Error('the last stage ran, and its layer is not in the store')
  return last
}

// --- internal ---

/**
 * Runs an action with a server for the run's package set, if it has one and a stage may request packages.
 * @throws PipelineError `packages-missing` if a stage failed after requesting packages that the set lacks
 */
async function withPackages(
  { request: { packages, signal }, plan: { image } }: Run,
  stages: readonly PlannedStage[],
  action: (packages: GuestPackages | undefined) => Promise<StagesOutcome>,
): Promise<StagesOutcome> {
  if (packages === undefined || !stages.some(({ stage }) => stage.network)) return action(undefined)
  const server = await startSetServer(packages, archivesOf(image), signal)
  try {
    const outcome = await action({ port: server.port, sources: renderSetSourceLines(image, true) })
    if (outcome.failure === undefined || signal.aborted) return outcome
    return { ...outcome, failure: lackOf(packages.folder, server.missing()) ?? outcome.failure }
  } finally {
    server.close()
  }
}

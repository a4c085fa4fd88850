/** Begins a run: cleans up, plans, and checks that the plan can be carried out. */

import { secondsSince } from '../host/elapsed.ts'
import { makeFolder } from '../host/files.ts'
import type { Lock } from '../host/lock.ts'
import { markOutput, outFolderAt, requireWritable } from '../host/out-folder.ts'
import { markChildren } from '../host/process.ts'
import { noteBeginning, type RunFolder } from '../host/run-folder.ts'
import { lookAhead, readEstimates } from '../plan/estimates.ts'
import { expectRoom } from '../plan/room.ts'
import { requireLocked } from '../provenance/lock.ts'
import type { BuildEvent } from '../report/events.ts'
import { resultOfLayer, resultOfSkipped } from '../stages/results.ts'
import type { StoreFault } from '../store/entries.ts'
import { openStore } from '../store/store.ts'
import { isFinished } from './export-images.ts'
import { refreshed } from './freshness.ts'
import { clearLeftovers } from './leftovers.ts'
import { type HostTools, requireFitPlan } from './preflight.ts'
import { type BuildRequest, type Run, timingOf } from './run.ts'
import { planOnSoundLayers } from './sound-layers.ts'

/** Cleans up, plans, and checks that the plan can be carried out; then creates the run folder. */
export async function beginRun(
  request: BuildRequest,
  runFolder: RunFolder,
  tools: HostTools,
  lock: Lock,
): Promise<Run> {
  const [startedAt, startedMs] = [new Date(), performance.now()]
  const { outFolder } = request
  const store = openStore(outFolderAt(outFolder).store, lock.confirm, request.signal)
  const onDamaged = (fault: StoreFault) => request.emit({ kind: 'note', text: describeDamage(fault) })
  for (const fault of await clearLeftovers(outFolder, store)) onDamaged(fault)
  const plan = await refreshed(await planOnSoundLayers({ ...request, onDamaged }, store), request, store)
  const isExported = await isFinished(plan, outFolder)
  const hasImages = !isExported && request.planning.until === undefined
  const layers = await store.list()
  const room = await expectRoom(plan, outFolder, layers, hasImages)
  for (const text of await requireFitPlan(plan, outFolder, room, request)) {
    request.emit({ kind: 'note', text })
  }
  if (request.locked !== undefined) await requireLocked(plan, request.locked, tools.versions, request)
  await requireWritable(runFolder.path)
  await markOutput(outFolder)
  markChildren(runFolder.id)
  await noteBeginning(runFolder.path)
  // Records contain the settings of stages, which may be secret.
  await makeFolder(store.folder, 0o700)
  const estimates = await readEstimates(outFolder, layers, plan.image)
  const elapsedSeconds = () => secondsSince(startedMs)
  const timings: Run['timings'] = []
  const stageStarts: Run['stageStarts'] = new Map()
  const emit = (event: BuildEvent): void => {
    if (event.kind === 'stage-started') stageStarts.set(event.name, elapsedSeconds())
    if (event.kind === 'part-finished') timings.push(timingOf(event, elapsedSeconds()))
    request.emit(event)
  }
  const ahead = lookAhead(plan, estimates, {
    areWanted: request.planning.until === undefined,
    exist: isExported,
    areVerified: request.verify !== undefined,
  })
  emit({ kind: 'run-started', runId: runFolder.id, variant: plan.image.variant, ...ahead, room })
  return {
    request,
    runFolder,
    store,
    lock,
    tools,
    plan,
    startedAt,
    elapsedSeconds,
    estimates,
    emit,
    timings,
    stageStarts,
    accelerator: undefined,
    base: plan.base.cached,
    stages: plan.stages.map((stage) =>
      stage.cached === undefined ? resultOfSkipped(stage) : resultOfLayer(stage.cached, 'cached'),
    ),
    final: plan.final?.cached,
    images: [],
    packages: undefined,
    freshness: undefined,
    verdicts: undefined,
    failure: undefined,
  }
}

// --- internal ---

function describeDamage({ name = 'a stage', key, fault }: StoreFault): string {
  return `the layer of ${name} is damaged (${key.slice(0, 12)}…): ${fault}; it is removed, and rebuilt when it is needed`
}

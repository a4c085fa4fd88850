/** Builds one image: from the plan to the report. */

import { copyFile, mkdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { PipelineError } from '../errors.ts'
import { exportImages, isFinished } from '../export/export-images.ts'
import { chooseAccelerator } from '../host/accelerator.ts'
import { writeDurably } from '../host/files.ts'
import { takeLock } from '../host/lock.ts'
import { killMarked } from '../host/process.ts'
import { bootstrap } from '../install/bootstrap.ts'
import { lookAhead, readEstimates } from '../plan/estimates.ts'
import { type Plan, planImage } from '../plan/plan.ts'
import type { BuildEvent } from '../report/events.ts'
import type { Report } from '../report/report.ts'
import { type Layer, openStore, type Store } from '../store/store.ts'
import { diskFailed, interrupted, verificationFailed } from './failures.ts'
import { markOutput, noteFolder, placeRun, removeNotedFolders } from './place.ts'
import {
  requireArchivers,
  requireMirror,
  requirePlainPaths,
  requireSpace,
  requireTools,
  requireWritable,
} from './preflight.ts'
import { type BuildRequest, describeRun, type Run } from './run.ts'
import { runStages } from './run-stages.ts'
import { resultOfLayer, resultOfSkipped } from './stage-results.ts'

/** Kernel of the last guest, below `out/cache`: what `doctor` proves the accelerator with. */
export const probeKernel = 'kernel'

/**
 * Builds an image. From the moment the run has a folder the report is written whatever happens, there and as
 * `out/report.json`; its `run.status` says how it went.
 * @throws PipelineError when something is not fit before the run has begun
 */
export async function buildImage(request: BuildRequest): Promise<Report> {
  const startedAt = new Date()
  const place = placeRun(request.outFolder, request.image.variant, startedAt)
  const tools = await requireTools(request.image.arch)
  requirePlainPaths(request.outFolder, ...request.image.stages.map(({ script }) => script))
  await requireArchivers(request.image)
  await requireWritable(request.outFolder)
  await requireSpace(request.outFolder)
  const lock = await takeLock(request.outFolder, place.id)
  try {
    const store = openStore(join(request.outFolder, 'store'))
    await clearLeftovers(lock.abandonedRun, request.outFolder, store)
    const plan = await planOnSoundLayers(request, store)
    await requireMirror(plan, request.signal)
    await requireWritable(place.folder)
    await markOutput(request.outFolder)
    // Records hold the settings of stages, which are nobody else's business.
    await mkdir(store.folder, { recursive: true, mode: 0o700 })
    const run = await beginRun({ request, place, store, tools, plan, startedAt })
    try {
      const base = await installBase(run)
      const final = await buildStages(run, base)
      if (request.planning.until === undefined) {
        await exportTargets(run, final)
        await verifyTargets(run)
      }
    } catch (error) {
      run.failure = asFailure(error, request)
    }
    const report = await finishRun(run)
    // A bug is in the report like any failure, and is then shown with its stack.
    if (run.failure?.code === 'unexpected') throw run.failure.cause
    return report
  } finally {
    await lock.release()
  }
}

/** Ends what a killed run left running, and removes what it left lying about. */
async function clearLeftovers(
  abandonedRun: string | undefined,
  outFolder: string,
  store: Store,
): Promise<void> {
  if (abandonedRun !== undefined) {
    await killMarked(abandonedRun)
    await removeNotedFolders(join(outFolder, 'runs', abandonedRun))
  }
  await store.sweep()
}

/** Plans, and plans again without any layer that is not what its record says. */
async function planOnSoundLayers(
  { image, planning, outFolder, emit }: BuildRequest,
  store: Store,
): Promise<Plan> {
  for (;;) {
    const plan = await planImage(image, store, planning)
    const cached = [plan.base, ...plan.stages].flatMap((layer) => layer.cached ?? [])
    if (await isFinished(plan, outFolder)) return plan
    const damaged = await findDamaged(cached, store)
    if (damaged === undefined) return plan
    emit({
      kind: 'note',
      text: `the layer of ${damaged.name} is damaged (${damaged.key.slice(0, 12)}…): it is made again`,
    })
    await store.remove(damaged.key)
  }
}

async function findDamaged(layers: readonly Layer[], store: Store): Promise<Layer | undefined> {
  for (const layer of layers) if (!(await store.verify(layer))) return layer
  return undefined
}

type Beginning = Pick<Run, 'request' | 'place' | 'store' | 'tools' | 'plan' | 'startedAt'>

async function beginRun(beginning: Beginning): Promise<Run> {
  const { request, place, store, plan } = beginning
  const estimates = await readEstimates(place.outFolder, await store.list())
  const timings: Run['timings'] = []
  const emit = (event: BuildEvent): void => {
    if (event.kind === 'part-finished') timings.push({ name: event.name, seconds: event.seconds })
    request.emit(event)
  }
  const ahead = lookAhead(plan, estimates, await isFinished(plan, place.outFolder))
  emit({ kind: 'run-started', runId: place.id, variant: plan.image.variant, ...ahead })
  return {
    ...beginning,
    estimates,
    emit,
    timings,
    accelerator: undefined,
    stages: plan.stages.map((stage) =>
      stage.cached === undefined ? resultOfSkipped(stage) : resultOfLayer(stage.cached, 'cached'),
    ),
    images: [],
    verdicts: undefined,
    failure: undefined,
  }
}

/** Makes layer 0, unless the store has it. */
async function installBase(run: Run): Promise<Layer> {
  const { plan, store, place, emit, request } = run
  const { base } = plan
  if (base.cached !== undefined) return base.cached
  emit({ kind: 'part-started', name: 'base', estimateSeconds: run.estimates.of('base') })
  const started = performance.now()
  const log = join(place.folder, 'base.log')
  await store.remove(base.key)
  const packages = await bootstrap({
    image: plan.image,
    layout: plan.layout,
    disk: store.disk(base.key),
    packageCache: join(place.outFolder, 'cache', 'packages'),
    log,
    runId: place.id,
    onProgress: (text) => emit({ kind: 'part-progress', name: 'base', text }),
    onFolder: (path) => noteFolder(place.folder, path),
    signal: request.signal,
  })
  const seconds = Math.round(performance.now() - started) / 1000
  const layer = await store.commit({
    key: base.key,
    name: base.name,
    parent: null,
    parts: base.parts,
    createdAt: new Date().toISOString(),
    buildTimeSeconds: seconds,
    log: relative(place.outFolder, log),
    artifacts: [],
    packages,
    bytesWritten: 0,
    tools: run.tools.versions,
  })
  emit({ kind: 'part-finished', name: 'base', seconds, text: `${packages.added.length} packages` })
  return layer
}

/** Runs the stages that the store has no layer for, and returns the last layer. */
async function buildStages(run: Run, base: Layer): Promise<Layer> {
  const { plan, store, place, emit, request } = run
  const cached = plan.stages.filter((stage) => stage.cached !== undefined)
  const stages = plan.stages.slice(cached.length)
  for (const stage of run.stages.slice(0, cached.length)) emit({ kind: 'stage-finished', stage })
  const below = [base, ...cached.flatMap((stage) => stage.cached ?? [])]
  const parent = below.at(-1) as Layer
  if (stages.length === 0) return parent
  const { results, failure } = await runStages({
    plan,
    stages,
    parent,
    installed: packagesOf(below),
    store,
    place,
    acceleration: async (kernel) => {
      const choice = await chooseAccelerator({
        arch: plan.image.arch,
        kernels: [kernel],
        cacheDir: join(place.outFolder, 'cache'),
        force: request.forceAccelerator,
        signal: request.signal,
      })
      run.accelerator = choice
      // For `doctor`, which has no layer to take a kernel from.
      await copyFile(kernel, join(place.outFolder, 'cache', probeKernel))
      if (choice.accelerator === 'tcg') emit({ kind: 'note', text: `without KVM: ${choice.reason}` })
      return choice
    },
    packer: run.tools.packer,
    tools: run.tools.versions,
    estimate: run.estimates.of,
    emit,
    signal: request.signal,
  })
  run.stages = [...run.stages.slice(0, cached.length), ...results]
  if (failure !== undefined) throw failure
  const last = await store.find((stages.at(-1) as Plan['stages'][number]).key)
  if (last === undefined) throw new Error('the last stage ran, and its layer is not in the store')
  return last
}

/** The packages of a stack of layers, lowest first. */
function packagesOf(layers: readonly Layer[]): Map<string, string> {
  const packages = new Map<string, string>()
  for (const { packages: change } of layers) {
    for (const { name } of change.removed) packages.delete(name)
    for (const { name, version } of change.added) packages.set(name, version)
    for (const { name, to } of change.upgraded) packages.set(name, to)
  }
  return packages
}

async function exportTargets(run: Run, layer: Layer): Promise<void> {
  const { plan, store, place, emit, request, estimates } = run
  run.images = await exportImages({
    image: plan.image,
    layer,
    layerDisk: store.disk(layer.key),
    outFolder: place.outFolder,
    estimate: estimates.of,
    emit,
    signal: request.signal,
  })
}

/** @throws PipelineError `verification-failed` */
async function verifyTargets(run: Run): Promise<void> {
  run.verdicts = await run.request.verify?.(run.images, run)
  const failed = run.verdicts?.verifications.filter(({ status }) => status === 'failed') ?? []
  if (failed.length > 0) throw verificationFailed(failed)
}

function asFailure(error: unknown, { signal, outFolder }: BuildRequest): PipelineError {
  if (error instanceof PipelineError) return error
  if (signal.aborted) return interrupted()
  const message = error instanceof Error ? error.message : String(error)
  if (/ENOSPC|No space left on device/.test(message)) return diskFailed(true, outFolder)
  return new PipelineError({ code: 'unexpected', message, cause: error })
}

async function finishRun(run: Run): Promise<Report> {
  const { place } = run
  const report = describeRun(run)
  const path = join(place.folder, 'report.json')
  const text = `${JSON.stringify(report, null, 2)}\n`
  await writeDurably(path, text)
  await writeDurably(join(place.outFolder, 'report.json'), text)
  run.emit({ kind: 'run-finished', report })
  return report
}

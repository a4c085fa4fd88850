/** Builds one image: from the plan to the report. */

import { setMaxListeners } from 'node:events'
import { join } from 'node:path'
import { requireFit } from '../doctor/host-checks.ts'
import { messageOf, PipelineError } from '../errors.ts'
import { allEnded } from '../host/all-ended.ts'
import { diskFailed, interrupted, isNoSpace } from '../host/failures.ts'
import { writeDurably } from '../host/files.ts'
import { type Lock, takeLock, type Waiting } from '../host/lock.ts'
import { describeHolder, type Holder } from '../host/lock-holder.ts'
import { outFolderAt, requireWritable } from '../host/out-folder.ts'
import { noteEnd, type RunFolder, runFolderOf } from '../host/run-folder.ts'
import { writeRunPages } from '../pages/write-page.ts'
import { formatBytes, plural } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import type { Layer } from '../store/layer-record.ts'
import { sizeOf } from '../store/prune.ts'
import { verificationFailed } from '../verify/failures.ts'
import { beginRun } from './begin-run.ts'
import { buildStages } from './build-stages.ts'
import { exportImages } from './export-images.ts'
import { recordFreshness } from './freshness.ts'
import { installBase } from './install-base.ts'
import { makeFinal } from './make-final.ts'
import { type HostTools, readTools } from './preflight.ts'
import { recordInputs } from './record-inputs.ts'
import { type BuildRequest, describeRun, type Run } from './run.ts'
import { keepBound } from './store-bound.ts'

/**
 * Builds an image. Once the run has a folder, the report is written there whatever happens, and as `out/report.json`; its
 * `run.status` says how the run ended.
 * @throws PipelineError if the host or the configuration is not fit, before the run begins
 */
export async function buildImage(request: BuildRequest): Promise<Report> {
  const runFolder = runFolderOf(request.outFolder, request.image.variant, new Date())
  await requireFit('build', { images: [request.image], outDir: request.outFolder })
  const tools = await readTools(request.image.arch)
  await requireWritable(request.outFolder)
  const lock = await takeLock(request.outFolder, runFolder.id, request.wait ? waitingOf(request) : undefined)
  const signal = AbortSignal.any([request.signal, lock.lost])
  setMaxListeners(0, signal)
  try {
    return await buildAlone({ ...request, signal }, runFolder, tools, lock)
  } finally {
    await lock.release()
  }
}

/** Builds while holding the lock. */
async function buildAlone(
  request: BuildRequest,
  runFolder: RunFolder,
  tools: HostTools,
  lock: Lock,
): Promise<Report> {
  const run = await beginRun(request, runFolder, tools, lock)
  try {
    const base = await installBase(run)
    run.base = base
    const last = await buildStages(run, base)
    if (request.planning.until === undefined) {
      const final = await makeFinal(run, last)
      // Asking the archives is mostly waiting, and the export does not need their response.
      await allEnded([makeImages(run, final), recordFreshness(run, final)])
      await verifyTargets(run)
    }
    await boundStore(run)
  } catch (error) {
    run.failure = asFailure(error, run)
    // Half-made layers would only take up space until the next run, which also sweeps.
    if (!isLost(run)) await run.store.sweep().catch(() => undefined)
  }
  const report = await finishRun(run)
  if (!isLost(run)) await noteEnd(runFolder.path)
  // A bug is reported like any failure, then shown with its stack.
  if (run.failure?.code === 'unexpected') throw run.failure.cause
  return report
}

/** Whether another run now works in the folder: it removes what this one has left. */
function isLost({ failure }: Run): boolean {
  return failure?.code === 'lock-lost'
}

function waitingOf({ outFolder, emit, signal }: BuildRequest): Waiting {
  const text = (holder: Holder | undefined) =>
    `another build is using ${outFolder}: waiting for ${describeHolder(holder)}`
  return { onWait: (holder) => emit({ kind: 'note', text: text(holder) }), signal }
}

/** Records what the image was made of, and exports the targets' files. */
async function makeImages(run: Run, layer: Layer): Promise<void> {
  await recordInputs(run, layer)
  const { plan, store, runFolder, emit, request, estimates } = run
  run.images = await exportImages({
    image: plan.image,
    layer,
    layerDisk: store.disk(layer.key),
    outFolder: runFolder.outFolder,
    estimate: estimates.of,
    confirm: run.lock.confirm,
    emit,
    signal: request.signal,
  })
}

/** Removes unused layers if the store exceeds its maximum size. */
async function boundStore({ request, store, plan, emit }: Run): Promise<void> {
  const { bound } = request
  if (bound === undefined) return
  const { removed, leftBytes } = await keepBound(store, bound, plan)
  const most = `store.maximumGiB, which is ${formatBytes(bound.maximumBytes)}`
  if (removed.length > 0) {
    const text = `${plural(removed.length, 'unused layer')}, ${formatBytes(sizeOf(removed))}, removed from the store to stay within ${most}`
    emit({ kind: 'note', text })
  }
  if (leftBytes > bound.maximumBytes) {
    emit({ kind: 'note', text: `the layers in use take ${formatBytes(leftBytes)}, more than ${most}` })
  }
}

/** @throws PipelineError `verification-failed` */
async function verifyTargets(run: Run): Promise<void> {
  run.verdicts = await run.request.verify?.(run.images, run)
  const failed = run.verdicts?.verifications.filter(({ status }) => status === 'failed') ?? []
  if (failed.length > 0) throw verificationFailed(failed)
}

function asFailure(error: unknown, run: Run): PipelineError {
  const { signal, outFolder, verify } = run.request
  if (signal.aborted && isLockLost(signal.reason)) return signal.reason
  if (signal.aborted) {
    const isVerifying = run.images.length > 0 && verify !== undefined && run.verdicts === undefined
    return isVerifying
      ? interrupted('the images are complete, but not verified: "npm run verify:image" does that.')
      : interrupted()
  }
  if (error instanceof PipelineError) return error
  if (isNoSpace(error)) return diskFailed(true, outFolder, error)
  const message = messageOf(error)
  return new PipelineError({ code: 'unexpected', message, cause: error })
}

function isLockLost(reason: unknown): reason is PipelineError {
  return reason instanceof PipelineError && reason.code === 'lock-lost'
}

/** Writes the report's page. The report contains everything on the page, so a run does not fail for lack of one. */
async function showReport(
  { emit }: Run,
  report: Report,
  files: Parameters<typeof writeRunPages>[1],
): Promise<void> {
  await writeRunPages(report, files).catch((error: unknown) =>
    emit({ kind: 'note', text: `report.html was not written: ${messageOf(error)}` }),
  )
}

async function finishRun(run: Run): Promise<Report> {
  const { runFolder } = run
  const files = [join(runFolder.path, 'report.json'), outFolderAt(runFolder.outFolder).report] as const
  try {
    await run.lock.confirm()
    const report = describeRun(run)
    for (const file of files) await writeDurably(file, `${JSON.stringify(report, null, 2)}\n`)
    await showReport(run, report, files)
  } catch (error) {
    // The disk may be full: an earlier failure is reported all the same.
    run.failure ??= asFailure(error, run)
  }
  const report = describeRun(run)
  run.emit({ kind: 'run-finished', report })
  return report
}

/** Runs stages: one Packer build, one boot of the guest, and a checkpoint after each stage. */

import { appendFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { PipelineError } from '../errors.ts'
import { runMarker, startGroup } from '../host/process.ts'
import type { PlannedStage } from '../plan/plan.ts'
import type { Emit } from '../report/events.ts'
import type { StageResult } from '../report/report.ts'
import { startCheckpointServer } from './checkpoint-server.ts'
import {
  diskFailed,
  interrupted,
  isNoSpace,
  packerFailed,
  packerSilent,
  stageFailed,
  stageTimedOut,
} from './failures.ts'
import { watchGuest } from './guest-watch.ts'
import { noteFolder } from './leftovers.ts'
import { parsePackerLine } from './packer-stream.ts'
import { createSealer } from './sealer.ts'
import { createStageRecorder, type RecorderEvent, type StageOutcome } from './stage-recorder.ts'
import { resultOfFailed, resultOfSkipped } from './stage-results.ts'
import { createWorkbench, type GuestRequest, prepareGuest, type Workbench } from './workbench.ts'

export interface StagesRequest extends Omit<GuestRequest, 'checkpointCommand' | 'serialLog'> {
  /** Packages of the parent layer by name. */
  readonly installed: ReadonlyMap<string, string>
  readonly tools: Readonly<Record<string, string>>
  readonly estimate: (name: string) => number | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface StagesOutcome {
  /** One for each stage of the request. */
  readonly results: readonly StageResult[]
  /** Why not all of them ran. */
  readonly failure: PipelineError | undefined
}

/** How long Packer may take from one stage to the next, or to shut the guest down. */
const gapSeconds = 180

/** How long Packer gets to end its guest before both are killed. */
const stopGraceMs = 8_000

/** Runs the stages of a request. A failure of the guest or of a stage is part of the outcome, not thrown. */
export async function runStages(request: StagesRequest): Promise<StagesOutcome> {
  const bench = await createWorkbench((folder) => noteFolder(request.place.folder, folder))
  try {
    return await runOnBench(request, bench)
  } finally {
    await bench.remove()
  }
}

async function runOnBench(request: StagesRequest, bench: Workbench): Promise<StagesOutcome> {
  const { plan, stages, place, emit, signal } = request
  const serialLog = join(place.folder, 'serial.log')
  const packerLog = join(place.folder, 'packer.log')
  const packerDebugLog = join(place.folder, 'packer-debug.log')
  const logOf = (name: string): string => {
    const number = plan.stages.findIndex((stage) => stage.name === name) + 1
    return join(place.folder, 'stages', `${String(number).padStart(2, '0')}-${name}.log`)
  }
  const stageOf = (name: string) => stages.find((stage) => stage.name === name) as PlannedStage
  const isLast = (name: string) => name === stages.at(-1)?.name

  const results = new Map<string, StageResult>()
  const finish = (result: StageResult): void => {
    results.set(result.name, result)
    emit({ kind: 'stage-finished', stage: result })
  }
  let failure: PipelineError | undefined
  let stopping: Promise<void> | undefined
  const fail = (error: PipelineError): void => {
    failure ??= error
    stopping ??= packer?.stop(stopGraceMs)
  }

  /** Writes to a log, which is on a disk that may be full. */
  const log = (path: string, text: string): void => {
    try {
      appendFileSync(path, `${text}\n`)
    } catch (cause) {
      fail(diskFailed(isNoSpace(cause), place.folder, cause))
    }
  }

  const boot = startPart(request, 'boot')
  const watch = watchGuest({
    serialLog,
    qmpSocket: bench.qmpSocket,
    storeFolder: request.store.folder,
    bootTimeoutSeconds: plan.image.machine.bootTimeoutSeconds,
    onFailure: fail,
  })
  const sealer = createSealer({
    ...request,
    qmp: watch.qmp,
    logOf: (name) => relative(place.outFolder, logOf(name)),
    onSealed: finish,
    onFailure: fail,
  })
  const server = await startCheckpointServer(bench.checkpointSocket, sealer.checkpoint)
  const recorder = createStageRecorder(new Map(request.installed), () => performance.now())
  const packerErrors: string[] = []
  let failed: StageOutcome | undefined
  let stageTimer: NodeJS.Timeout | undefined
  let shutdown: Part | undefined
  let packer: ReturnType<typeof startGroup> | undefined

  const onStage = (event: RecorderEvent): void => {
    if (event.kind === 'begin') {
      const { name } = event
      clearTimeout(stageTimer)
      watch.booted()
      watch.running(name)
      boot.finish(guest.acceleration.accelerator)
      emit({ kind: 'stage-started', name, estimateSeconds: request.estimate(name) })
      const limit = stageOf(name).stage.timeoutSeconds
      stageTimer = setTimeout(() => fail(stageTimedOut(name, limit, logOf(name))), limit * 1000)
    } else if (event.kind === 'output') {
      log(logOf(event.name), event.text)
      emit({ kind: 'stage-output', name: event.name, text: event.text })
    } else {
      const { outcome } = event
      clearTimeout(stageTimer)
      if (outcome.exitStatus !== 0) {
        failed = outcome
        return fail(stageFailed(outcome, stageOf(outcome.name).stage.script, logOf(outcome.name)))
      }
      sealer.ended(outcome)
      stageTimer = setTimeout(
        () => fail(packerSilent(`stage ${outcome.name}`, gapSeconds, packerDebugLog)),
        gapSeconds * 1000,
      )
      if (!isLast(outcome.name)) return
      watch.running(outcome.name, true)
      shutdown = startPart(request, 'shutdown')
      void sealer.beforeShutdown()
    }
  }

  const interrupt = () => fail(interrupted())
  const guest = await prepareGuest({ ...request, checkpointCommand: server.command, serialLog }, bench).catch(
    async (error) => {
      server.close()
      await watch.close()
      throw error
    },
  )
  try {
    signal.throwIfAborted()
    signal.addEventListener('abort', interrupt, { once: true })
    packer = startGroup('packer', ['build', '-color=false', '-machine-readable', guest.template], {
      cwd: place.folder,
      env: {
        [runMarker]: place.id,
        CHECKPOINT_DISABLE: '1',
        PACKER_CACHE_DIR: join(bench.folder, 'cache'),
        PACKER_LOG: '1',
        PACKER_LOG_PATH: packerDebugLog,
        TMPDIR: bench.folder,
      },
      onLine: (line) => {
        for (const { kind, text } of parsePackerLine(line)) {
          log(packerLog, text)
          if (kind === 'error' && text.trim() !== '') packerErrors.push(text.trim())
          const event = recorder.take(text)
          if (event !== undefined) onStage(event)
        }
      },
    })
    const ended = await packer.ended
    await stopping
    await watch.close()
    const running = recorder.running()
    if (ended.exitCode !== 0) {
      failure ??= watch.explainEnd() ?? packerFailed(running, ended, packerErrors, packerDebugLog)
    }
    failure ??= watch.explainLoss()
    if (failure === undefined) {
      shutdown?.finish()
      await sealer.final()
    }
  } finally {
    clearTimeout(stageTimer)
    signal.removeEventListener('abort', interrupt)
    await packer?.stop(stopGraceMs)
    await watch.close()
    server.close()
    await sealer.settled()
  }

  const broken = failed ?? recorder.interrupt(-1)
  if (broken !== undefined && failure !== undefined) {
    finish(
      resultOfFailed(stageOf(broken.name), broken, failure, relative(place.outFolder, logOf(broken.name))),
    )
  }
  return { results: stages.map((stage) => results.get(stage.name) ?? resultOfSkipped(stage)), failure }
}

interface Part {
  readonly finish: (text?: string) => void
}

/** Announces a part of the run that is no stage; only the first `finish` counts. */
function startPart({ emit, estimate }: StagesRequest, name: string): Part {
  const started = performance.now()
  let isFinished = false
  emit({ kind: 'part-started', name, estimateSeconds: estimate(name) })
  return {
    finish: (text) => {
      if (isFinished) return
      isFinished = true
      const seconds = Math.round(performance.now() - started) / 1000
      emit({ kind: 'part-finished', name, seconds, ...(text === undefined ? {} : { text }) })
    },
  }
}

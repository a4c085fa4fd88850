/** Runs stages: one Packer build, one boot of the guest, and a checkpoint after each stage. */

import { appendFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { PipelineError } from '../errors.ts'
import { diskFailed, interrupted, isNoSpace } from '../host/failures.ts'
import { noteFolder } from '../host/run-folder.ts'
import { createScratchFolder, type ScratchFolder } from '../host/scratch-folder.ts'
import { packerFailed, packerSilent } from '../packer/failures.ts'
import { type PackerProcess, startPacker } from '../packer/process.ts'
import { opening } from '../packer/template.ts'
import type { PlannedStage } from '../plan/plan.ts'
import { bootsOfEmulatedGuest } from '../qemu/accelerator.ts'
import { loadState } from '../qemu/suspend.ts'
import type { Emit } from '../report/events.ts'
import type { StageResult } from '../report/report.ts'
import type { SavedState } from '../store/states.ts'
import { connectChannel } from './channel.ts'
import { startCheckpointServer } from './checkpoint-server.ts'
import { stageFailed, stageTimedOut, stateNotWoken, stateNotWokenCode, wentOn } from './failures.ts'
import { watchGuest } from './guest-watch.ts'
import { type Decide, openSecondWay } from './hold.ts'
import { type GuestRequest, prepareGuest } from './prepare-guest.ts'
import { createStageRecorder, type RecorderEvent, type StageOutcome } from './recorder.ts'
import { resultOfFailed, resultOfSkipped, resultOfUnkept } from './results.ts'
import { type RunPart, startPart } from './run-part.ts'
import { createSealer } from './sealer.ts'
import { createSuspender } from './suspender.ts'

export interface StagesRequest
  extends Omit<GuestRequest, 'checkpointCommand' | 'serialLog' | 'mayWake' | 'holdsFailures'> {
  /** Packages of the parent layer by name. */
  readonly installed: ReadonlyMap<string, string>
  readonly tools: Readonly<Record<string, string>>
  readonly estimate: (name: string) => number | undefined
  /** What to do when a stage has failed; without it the run stops. */
  readonly decide: Decide | undefined
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

/** How long a guest may take to wake: one that does not is booted. */
const wakeSeconds = 30

/** Runs the stages of a request. A failure of the guest or of a stage is part of the outcome, not thrown. */
export async function runStages(request: StagesRequest): Promise<StagesOutcome> {
  let outcome = await runOnce(request, request.plan.image.machine.savedStatesMiB > 0)
  for (let boots = 1; outcome.isWorthAnotherBoot && boots < bootsOfEmulatedGuest; boots += 1) {
    request.emit({ kind: 'note', text: `${outcome.failure?.message}; it is booted again` })
    outcome = await runOnce(request, false)
  }
  return outcome
}

interface AttemptOutcome extends StagesOutcome {
  /** Whether nothing was lost yet, and a guest that boots may do better. */
  readonly isWorthAnotherBoot: boolean
}

async function runOnce(request: StagesRequest, mayWake: boolean): Promise<AttemptOutcome> {
  const scratch = await createScratchFolder((folder) => noteFolder(request.place.folder, folder))
  try {
    return await runOnBench(request, mayWake, scratch)
  } finally {
    await scratch.remove()
  }
}

async function runOnBench(
  request: StagesRequest,
  mayWake: boolean,
  scratch: ScratchFolder,
): Promise<AttemptOutcome> {
  const { plan, stages, place, states, emit, signal } = request
  const serialLog = join(place.folder, 'serial.log')
  const packerLog = join(place.folder, 'packer.log')
  const packerDebugLog = join(place.folder, 'packer-debug.log')
  const logOf = (name: string): string => {
    const number = plan.stages.findIndex((stage) => stage.name === name) + 1
    return join(place.folder, 'stages', `${String(number).padStart(2, '0')}-${name}.log`)
  }
  const logFor = (name: string): string => relative(place.outFolder, logOf(name))
  const stageOf = (name: string) => stages.find((stage) => stage.name === name) as PlannedStage
  const isLast = (name: string) => name === stages.at(-1)?.name

  const results = new Map<string, StageResult>()
  const finish = (result: StageResult): void => {
    results.set(result.name, result)
    emit({ kind: 'stage-finished', stage: result })
  }
  let failure: PipelineError | undefined
  let stopping: Promise<void> | undefined
  let isWaking = false
  let hasBegun = false
  const fail = (error: PipelineError): void => {
    // Whatever goes wrong with a guest that has not woken is the fault of its state, unless somebody ended the build.
    const isOfGuest = error.code !== 'interrupted' && error.code !== 'packer-died'
    failure ??= isWaking && isOfGuest ? stateNotWoken(error) : error
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

  const server = await startCheckpointServer(scratch.checkpointSocket, (name) => {
    if (name !== opening) return goneOnFrom.length > 0 ? Promise.resolve() : sealer.checkpoint(name)
    suspender.began(boot.name, boot.seconds())
    return sealer.opening()
  })
  const guest = await prepareGuest(
    {
      ...request,
      mayWake,
      holdsFailures: request.decide !== undefined,
      checkpointCommand: server.command,
      serialLog,
    },
    scratch,
  ).catch((error) => {
    server.close()
    throw error
  })
  const { state } = guest
  isWaking = state !== undefined
  const boot = startPart(request, isWaking ? 'wake' : 'boot')
  const watch = watchGuest({
    serialLog,
    qmpSocket: scratch.qmpSocket,
    storeFolder: request.store.folder,
    bootTimeoutSeconds: plan.image.machine.bootTimeoutSeconds,
    onFailure: fail,
  })
  const ending = new AbortController()
  const channel = connectChannel(scratch.channelSocket, ending.signal)
  channel.catch(() => undefined)
  const suspender = createSuspender({
    ...request,
    states,
    maximumBytes: plan.image.machine.savedStatesMiB * 1024 ** 2,
    stages: plan.stages.map(({ name }) => name),
    keyOf: guest.keyOfState,
    qmp: watch.connected,
    onNote: (text) => emit({ kind: 'note', text }),
  })
  const sealer = createSealer({
    ...request,
    qmp: watch.qmp,
    channel: () => channel,
    suspender,
    logOf: logFor,
    onSealed: finish,
    onFailure: fail,
  })
  const recorder = createStageRecorder(new Map(request.installed), () => performance.now())
  const goneOnFrom: string[] = []
  let stageTimer: NodeJS.Timeout | undefined
  let shutdown: RunPart<'shutdown'> | undefined
  let packer: PackerProcess | undefined

  const onStage = (event: RecorderEvent): void => {
    if (event.kind === 'begin') {
      const { name } = event
      hasBegun = true
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
      if (outcome.exitStatus !== 0) return void onStageFailed(outcome)
      if (goneOnFrom.length > 0) finish(resultOfUnkept(stageOf(outcome.name), outcome, logFor(outcome.name)))
      else sealer.ended(outcome)
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

  const onStageFailed = async (outcome: StageOutcome): Promise<void> => {
    const { name } = outcome
    const error = stageFailed(outcome, stageOf(name).stage.script, logOf(name))
    finish(resultOfFailed(stageOf(name), outcome, error, logFor(name)))
    if (request.decide === undefined) return fail(error)
    try {
      const port = await openSecondWay(await watch.connected())
      const held = { name, failure: error, port, privateKey: guest.privateKey }
      if ((await request.decide(held, signal)) !== 'go on') return fail(error)
      goneOnFrom.push(name)
      await (await channel).release()
    } catch (cause) {
      if (signal.aborted) return fail(interrupted())
      emit({ kind: 'note', text: `the guest can't be looked into: ${(cause as Error).message}` })
      fail(error)
    }
  }

  const interrupt = () => fail(interrupted())
  const wake = async (found: SavedState): Promise<void> => {
    const limit = setTimeout(() => fail(stateNotWoken(`not within ${wakeSeconds} s`)), wakeSeconds * 1000)
    try {
      await loadState(await watch.connected(), states.memory(found.key))
      await (await channel).wake(guest.renewal)
      isWaking = false
    } catch (error) {
      fail(stateNotWoken(error))
    } finally {
      clearTimeout(limit)
    }
  }
  try {
    signal.throwIfAborted()
    signal.addEventListener('abort', interrupt, { once: true })
    packer = startPacker({
      template: guest.template,
      place,
      scratch,
      debugLog: packerDebugLog,
      onLine: ({ text }) => {
        log(packerLog, text)
        const event = recorder.take(text)
        if (event !== undefined) onStage(event)
      },
    })
    if (state !== undefined) void wake(state)
    const ended = await packer.ended
    await stopping
    await watch.close()
    const running = recorder.running()
    if (ended.exitCode !== 0) {
      fail(watch.explainEnd() ?? packerFailed(running, ended, packer.errors, packerDebugLog))
    }
    if (goneOnFrom.length > 0) fail(wentOn(goneOnFrom))
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
    ending.abort()
    server.close()
    await sealer.settled()
    // A state that does not wake once will not wake at all.
    if (isWaking && state !== undefined && !signal.aborted) await states.remove(state.key)
  }

  const broken = recorder.interrupt(-1)
  if (broken !== undefined && failure !== undefined) {
    finish(resultOfFailed(stageOf(broken.name), broken, failure, logFor(broken.name)))
  }
  const isEmulatedPanic = failure?.code === 'guest-panicked' && guest.acceleration.accelerator === 'tcg'
  return {
    results: stages.map((stage) => results.get(stage.name) ?? resultOfSkipped(stage)),
    failure,
    isWorthAnotherBoot: failure?.code === stateNotWokenCode || (isEmulatedPanic && !hasBegun),
  }
}

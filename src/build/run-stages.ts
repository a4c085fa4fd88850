/** Runs stages: one Packer build, one boot of the guest, and a checkpoint after each stage. */

import { appendFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import { PipelineError } from '../errors.ts'
import { runMarker, startGroup } from '../host/process.ts'
import type { Plan, PlannedLayer, PlannedStage } from '../plan/plan.ts'
import type { Emit } from '../report/events.ts'
import type { Failure, StageResult } from '../report/report.ts'
import { sha256File } from '../store/digest.ts'
import type { Layer, Store } from '../store/store.ts'
import { readBootFiles } from './boot-files.ts'
import { startCheckpointServer } from './checkpoint-server.ts'
import { buildUnit, makeBuildKit, readyLine } from './kit.ts'
import { type Acceleration, buildKernelArguments, diskDevice, machineArguments } from './machine.ts'
import { type PackerDialect, renderPackerTemplate } from './packer-hcl.ts'
import { parsePackerLine } from './packer-stream.ts'
import type { RunPlace } from './place.ts'
import { connectQmp, type Qmp } from './qmp.ts'
import { followLines, readSign } from './serial.ts'
import { brokenPromise, createStageRecorder, type StageOutcome } from './stage-recorder.ts'

export interface StagesRequest {
  readonly plan: Plan
  /** Stages to run: all from the first that is not cached. Never empty. */
  readonly stages: readonly PlannedStage[]
  /** The layer that the first of them starts from. */
  readonly parent: Layer
  /** Packages of that layer by name. */
  readonly installed: ReadonlyMap<string, string>
  readonly store: Store
  readonly place: RunPlace
  readonly acceleration: (kernel: string) => Promise<Acceleration>
  readonly packer: PackerDialect
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

/** How long the console may stay silent before the guest is ready, and how long Packer gets to end its guest. */
const silenceMs = 120_000
const stopGraceMs = 8_000

/** Runs the stages of a request. A failure of the guest or of a stage is part of the outcome, not thrown. */
export async function runStages(request: StagesRequest): Promise<StagesOutcome> {
  const { plan, stages, store, place, emit, signal } = request
  const { image, layout } = plan
  // A unix socket's path has to fit into 108 bytes, which a clone in a deep folder would exceed.
  const sockets = await mkdtemp(join(tmpdir(), 'systemvm-image-'))
  const serialLog = join(place.folder, 'serial.log')
  const results: StageResult[] = []
  const commits: Promise<void>[] = []
  const watching = new AbortController()
  let failure: PipelineError | undefined
  let qmp: Qmp | undefined

  const bootStarted = performance.now()
  emit({ kind: 'part-started', name: 'boot', estimateSeconds: request.estimate('boot') })
  const diskOf = (stage: PlannedLayer) => store.disk(stage.key)
  const first = stages[0] as PlannedStage
  const bootFiles = await readBootFiles(store.disk(request.parent.key), layout, join(place.folder, 'boot'))
  const acceleration = await request.acceleration(bootFiles.kernel)
  const kit = await makeBuildKit(
    join(sockets, 'kit'),
    bootFiles.initrd,
    stages.map(({ stage }) => stage),
    image.sourceDateEpoch,
  )
  for (const stage of stages) await createOverlay(store, stage, layout.sizeBytes)

  // --- what stages leave ---

  const recorder = createStageRecorder(new Map(request.installed), () => performance.now())
  const outcomes = new Map<string, StageOutcome>()
  const outcomeWaiters = new Map<string, (outcome: StageOutcome) => void>()
  const outcomeOf = (name: string): Promise<StageOutcome> =>
    new Promise((resolve) => {
      const known = outcomes.get(name)
      if (known === undefined) outcomeWaiters.set(name, resolve)
      else resolve(known)
    })
  let writtenBefore = 0
  const bytesWritten = new Map<string, number>()
  const readBytesWritten = async (name: string): Promise<void> => {
    const total = await queryBytesWritten(qmp)
    bytesWritten.set(name, Math.max(0, total - writtenBefore))
    writtenBefore = total
  }

  const logOf = (name: string): string => {
    const number = plan.stages.findIndex((stage) => stage.name === name) + 1
    return join(place.folder, 'stages', `${String(number).padStart(2, '0')}-${name}.log`)
  }

  /** Records a sealed disk as a layer. Runs beside the next stage: the disk does not change any more. */
  const commit = (stage: PlannedStage, outcome: StageOutcome): void => {
    const work = async (): Promise<void> => {
      const layer = await store.commit({
        key: stage.key,
        name: stage.name,
        parent: stage.parent,
        parts: stage.parts,
        createdAt: new Date().toISOString(),
        buildTimeSeconds: outcome.buildTimeSeconds,
        log: relative(place.outFolder, logOf(stage.name)),
        artifacts: outcome.artifacts,
        packages: outcome.packages,
        bytesWritten: bytesWritten.get(stage.name) ?? 0,
        tools: request.tools,
      })
      const result = resultOfLayer(layer, 'ran')
      results.push(result)
      emit({ kind: 'stage-finished', stage: result })
    }
    // One after the other: a layer must not be there before the one that it stands on.
    const before = commits.at(-1) ?? Promise.resolve()
    const committed = before.then(work)
    committed.catch((cause: unknown) => fail(sealFailed(stage.name, cause)))
    commits.push(committed)
  }

  const seal = async (name: string): Promise<void> => {
    const index = stages.findIndex((stage) => stage.name === name)
    const next = stages[index + 1]
    const stage = stages[index]
    if (stage === undefined || next === undefined) throw new Error(`${name} has no checkpoint`)
    const outcome = await outcomeOf(name)
    try {
      if (qmp === undefined) throw new Error('QEMU does not answer')
      await readBytesWritten(name)
      await qmp.execute('blockdev-snapshot-sync', {
        device: diskDevice,
        'snapshot-file': diskOf(next),
        format: 'qcow2',
        mode: 'existing',
      })
    } catch (cause) {
      fail(sealFailed(name, cause))
      throw cause
    }
    commit(stage, outcome)
  }

  // --- Packer ---

  const server = await startCheckpointServer(join(sockets, 'checkpoint'), seal)
  const template = join(place.folder, 'build.pkr.hcl')
  const dummyDisk = join(sockets, 'dummy.qcow2')
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', dummyDisk, '1M'], { timeout: 30_000 })
  const rootUuid = layout.partitions.find(({ mount }) => mount === '/')?.uuid ?? ''
  await writeFile(
    template,
    await renderPackerTemplate({
      variant: image.variant,
      dialect: request.packer,
      dummyDisk,
      dummyDigest: `sha256:${await sha256File(dummyDisk)}`,
      outputFolder: join(sockets, 'output'),
      machineName: image.name,
      accelerator: acceleration.accelerator,
      machineArguments: machineArguments({
        ...acceleration,
        ...image.machine,
        disk: diskOf(first),
        kernel: bootFiles.kernel,
        initrd: kit.initrd,
        kernelArguments: buildKernelArguments(rootUuid, buildUnit),
        serialLog,
        qmpSocket: join(sockets, 'qmp'),
      }),
      privateKey: kit.privateKey,
      bootTimeoutSeconds: image.machine.bootTimeoutSeconds,
      stages: stages.map(({ stage }) => stage),
      checkpointCommand: server.command,
    }),
  )
  await mkdir(join(place.folder, 'stages'), { recursive: true })

  let stageTimer: NodeJS.Timeout | undefined
  let stopping: Promise<void> | undefined
  function fail(error: PipelineError): void {
    failure ??= error
    stopping ??= packer.stop(stopGraceMs)
  }

  let booted = false
  const packerErrors: string[] = []
  const packerLog = join(place.folder, 'packer.log')
  const onGuestLine = (text: string): void => {
    const event = recorder.take(text)
    if (event === undefined) return
    switch (event.kind) {
      case 'begin': {
        if (!booted) {
          booted = true
          emit({
            kind: 'part-finished',
            name: 'boot',
            seconds: secondsSince(bootStarted),
            text: acceleration.accelerator,
          })
        }
        emit({ kind: 'stage-started', name: event.name, estimateSeconds: request.estimate(event.name) })
        const limit = stages.find((stage) => stage.name === event.name)?.stage.timeoutSeconds ?? 0
        stageTimer = setTimeout(() => fail(stageTimedOut(event.name, limit, logOf(event.name))), limit * 1000)
        return
      }
      case 'output':
        appendFileSync(logOf(event.name), `${event.text}\n`)
        emit({ kind: 'stage-output', name: event.name, text: event.text })
        return
      case 'end': {
        clearTimeout(stageTimer)
        const { outcome } = event
        outcomes.set(outcome.name, outcome)
        if (outcome.exitStatus !== 0) fail(stageFailed(outcome, logOf(outcome.name)))
        else {
          outcomeWaiters.get(outcome.name)?.(outcome)
          if (outcome.name === stages.at(-1)?.name) {
            void readBytesWritten(outcome.name).catch(() => undefined)
            emit({ kind: 'part-started', name: 'shutdown', estimateSeconds: request.estimate('shutdown') })
          }
        }
      }
    }
  }
  const packer = startGroup('packer', ['build', '-color=false', '-machine-readable', template], {
    cwd: place.folder,
    env: {
      [runMarker]: place.id,
      CHECKPOINT_DISABLE: '1',
      PACKER_CACHE_DIR: join(sockets, 'cache'),
      PACKER_LOG: '1',
      PACKER_LOG_PATH: join(place.folder, 'packer-debug.log'),
      TMPDIR: sockets,
    },
    onLine: (line) => {
      for (const { kind, text } of parsePackerLine(line)) {
        appendFileSync(packerLog, `${text}\n`)
        if (kind === 'error' && text.trim() !== '') packerErrors.push(text.trim())
        onGuestLine(text)
      }
    },
  })

  // --- signs that it will not end well ---

  const consoleLines: string[] = []
  let lastConsoleMs = performance.now()
  let ready = false
  const watchConsole = followLines(serialLog, watching.signal, (line) => {
    lastConsoleMs = performance.now()
    if (line.trim() === '') return
    consoleLines.push(line)
    if (consoleLines.length > 40) consoleLines.shift()
    if (line.includes(readyLine)) ready = true
    const error = readSign(line, consoleLines, serialLog)
    if (error !== undefined) fail(error)
  })
  const silence = setInterval(() => {
    if (booted) return
    const { bootTimeoutSeconds } = image.machine
    const details = { lastLines: consoleLines.slice(-20), log: serialLog }
    if (!ready && performance.now() - lastConsoleMs > silenceMs) {
      fail(
        new PipelineError({
          code: 'guest-silent',
          message: `the guest hangs while booting: its console has been silent for ${silenceMs / 1000} s`,
          hint: `the console's last lines are below, all of it is in ${serialLog}`,
          details,
        }),
      )
    } else if (performance.now() - bootStarted > bootTimeoutSeconds * 1000) {
      fail(
        new PipelineError({
          code: 'boot-timeout',
          message: ready
            ? `the guest is up, but Packer did not get in by SSH within ${bootTimeoutSeconds} s`
            : `the guest was not ready within ${bootTimeoutSeconds} s`,
          hint: 'raise machine.bootTimeoutSeconds for a slow host; the console is in the log named below.',
          details,
        }),
      )
    }
  }, 1000)
  const interrupt = () =>
    fail(new PipelineError({ code: 'interrupted', message: 'the build was interrupted', exitCode: 130 }))
  signal.addEventListener('abort', interrupt, { once: true })
  const connecting = connectQmp(join(sockets, 'qmp'), watching.signal).then(
    (connection) => {
      qmp = connection
      connection.events.on('event', (name: string, data: { readonly nospace?: boolean } | undefined) => {
        if (name === 'GUEST_PANICKED') fail(guestPanicked(consoleLines, serialLog))
        if (name === 'BLOCK_IO_ERROR') fail(diskError(data?.nospace === true, store.folder))
      })
    },
    () => undefined,
  )

  // --- the end ---

  try {
    if (signal.aborted) interrupt()
    const ended = await packer.ended
    await stopping
    // Packer reports a guest that powered off by itself as an error of SSH: our own finding says more.
    await drainConsole()
    clearTimeout(stageTimer)
    if (ended.exitCode !== 0) {
      failure ??= packerFailed(
        recorder.running(),
        ended,
        packerErrors,
        join(place.folder, 'packer-debug.log'),
      )
    }
  } finally {
    clearInterval(silence)
    clearTimeout(stageTimer)
    signal.removeEventListener('abort', interrupt)
    watching.abort()
    qmp?.close()
    server.close()
    await packer.stop(stopGraceMs)
    await Promise.all([watchConsole, connecting])
    await rm(sockets, { recursive: true, force: true })
    await rm(join(place.folder, 'boot'), { recursive: true, force: true })
  }
  await Promise.allSettled(commits)
  const last = stages.at(-1) as PlannedStage
  const lastOutcome = outcomes.get(last.name)
  if (failure === undefined && lastOutcome !== undefined) {
    commit(last, lastOutcome)
    await Promise.allSettled(commits)
  }
  return {
    results: completed(stages, results, outcomes, recorder.interrupt(-1), failure, logOf, place),
    failure,
  }
}

/** The console's last words may arrive after QEMU has gone. */
async function drainConsole(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300))
}

async function createOverlay(store: Store, stage: PlannedLayer, sizeBytes: number): Promise<void> {
  await store.remove(stage.key)
  const backing = relative(store.folder, store.disk(stage.parent ?? ''))
  // Unchecked, since the layer below is an empty overlay itself by now; relative, so that the store can be moved.
  const create = [
    'create',
    '-q',
    '-u',
    '-f',
    'qcow2',
    '-b',
    backing,
    '-F',
    'qcow2',
    store.disk(stage.key),
    `${sizeBytes}`,
  ]
  await execa('qemu-img', create, { timeout: 30_000 })
}

interface BlockStatistics {
  readonly device?: string
  readonly stats: { readonly wr_bytes: number }
}

async function queryBytesWritten(qmp: Qmp | undefined): Promise<number> {
  const devices = (await qmp?.execute('query-blockstats')) as readonly BlockStatistics[] | undefined
  return devices?.find(({ device }) => device === diskDevice)?.stats.wr_bytes ?? 0
}

function secondsSince(startedMs: number): number {
  return Math.round(performance.now() - startedMs) / 1000
}

/** A stage's entry in the report, of the layer that it left. */
export function resultOfLayer(layer: Layer, status: 'ran' | 'cached'): StageResult {
  return {
    name: layer.name,
    status,
    build_time: layer.buildTimeSeconds,
    key: layer.key,
    log: layer.log,
    exitStatus: 0,
    artifacts: [...layer.artifacts],
    packages: layer.packages,
    bytesWritten: layer.bytesWritten,
    layer: { sha256: layer.sha256, sizeBytes: layer.sizeBytes },
  }
}

/** Adds the stages that failed, or were not come to, to those whose layers were sealed. */
function completed(
  stages: readonly PlannedStage[],
  results: readonly StageResult[],
  outcomes: ReadonlyMap<string, StageOutcome>,
  interrupted: StageOutcome | undefined,
  failure: PipelineError | undefined,
  logOf: (name: string) => string,
  place: RunPlace,
): readonly StageResult[] {
  return stages.map((stage) => {
    const sealed = results.find(({ name }) => name === stage.name)
    if (sealed !== undefined) return sealed
    const outcome = outcomes.get(stage.name) ?? (interrupted?.name === stage.name ? interrupted : undefined)
    const empty = { added: [], removed: [], upgraded: [] }
    return {
      name: stage.name,
      status: outcome === undefined ? ('skipped' as const) : ('failed' as const),
      build_time: outcome?.buildTimeSeconds ?? 0,
      key: stage.key,
      log: outcome === undefined ? null : relative(place.outFolder, logOf(stage.name)),
      exitStatus: outcome === undefined || outcome.exitStatus < 0 ? null : outcome.exitStatus,
      artifacts: [...(outcome?.artifacts ?? [])],
      packages: outcome?.packages ?? empty,
      bytesWritten: 0,
      layer: null,
      ...(outcome === undefined || failure === undefined
        ? {}
        : { failure: describeFailure(failure, outcome.lastLines) }),
    }
  })
}

/** An error as the report has it. */
export function describeFailure(error: PipelineError, lastLines?: readonly string[]): Failure {
  const lines = lastLines ?? (error.details.lastLines as readonly string[] | undefined)
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(lines === undefined ? {} : { lastLines: [...lines] }),
  }
}

function stageFailed(outcome: StageOutcome, log: string): PipelineError {
  const { name, exitStatus, missing, lastLines } = outcome
  const broken = exitStatus === brokenPromise && missing.length > 0
  return new PipelineError({
    code: broken ? 'promise-broken' : 'stage-failed',
    message: broken
      ? `stage ${name} broke a promise: it left no ${missing.join(', ')}`
      : `stage ${name} failed with exit status ${exitStatus}`,
    hint: broken
      ? `mend provisioners/${name}.sh, or what its declaration says in leaves; its log is ${log}`
      : `its last lines are below, all of them in ${log}`,
    details: { stage: name, exitStatus, missing, lastLines: lastLines.slice(-20), log },
  })
}

function stageTimedOut(name: string, limitSeconds: number, log: string): PipelineError {
  return new PipelineError({
    code: 'stage-timeout',
    message: `stage ${name} ran longer than its ${limitSeconds} s`,
    hint: `raise timeoutSeconds in its declaration if it needs more; its log is ${log}`,
    details: { stage: name, limitSeconds, log },
  })
}

function sealFailed(name: string, cause: unknown): PipelineError {
  return new PipelineError({
    code: 'seal-failed',
    message: `the layer of stage ${name} could not be sealed: ${(cause as Error).message}`,
    hint: 'check the disk that holds out/ for space and errors.',
    cause,
  })
}

function guestPanicked(lines: readonly string[], log: string): PipelineError {
  return new PipelineError({
    code: 'guest-panicked',
    message: 'the kernel of the guest panicked',
    hint: `the console's last lines are below, all of it is in ${log}`,
    details: { lastLines: lines.slice(-20), log },
  })
}

function diskError(noSpace: boolean, folder: string): PipelineError {
  return new PipelineError({
    code: noSpace ? 'disk-full' : 'disk-error',
    message: noSpace
      ? `the disk that holds ${folder} is full: the guest could not write`
      : `the guest's disk could not be read or written in ${folder}`,
    hint: 'make room and run the build again: it goes on after the last finished stage.',
  })
}

function packerFailed(
  stage: string | undefined,
  ended: { readonly exitCode: number | null; readonly signal: string | null },
  errors: readonly string[],
  log: string,
): PipelineError {
  const how = ended.signal === null ? `exit status ${ended.exitCode}` : `signal ${ended.signal}`
  const during = stage === undefined ? 'before the first stage was done' : `during stage ${stage}`
  return new PipelineError({
    code: 'packer-died',
    message: `Packer ended with ${how} ${during}${errors[0] === undefined ? '' : `: ${errors[0]}`}`,
    hint: `Packer's own log is ${log}`,
    details: { lastLines: errors.slice(-20), log },
  })
}

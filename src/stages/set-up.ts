/** Sets up everything that a run needs: the guest's files, our end of each connection to it, and Packer. */

import { setTimeout as sleep } from 'node:timers/promises'
import { awaitedLater } from '../host/awaited-later.ts'
import { openLogs } from '../host/log-files.ts'
import type { ScratchFolder } from '../host/scratch-folder.ts'
import type { SetUp, Step } from '../host/steps.ts'
import { type PackerProcess, startPacker } from '../packer/process.ts'
import { secretsOf } from '../packer/secrets.ts'
import { measureLoad } from '../qemu/guest-load.ts'
import type { Emit } from '../report/events.ts'
import { type Channel, connectChannel } from './channel.ts'
import { type CheckpointServer, startCheckpointServer } from './checkpoint-server.ts'
import { type GuestWatch, nextGuest } from './guest-watch.ts'
import type { Decide } from './hold.ts'
import { createParts, type Parts } from './parts.ts'
import { type GuestRequest, type PreparedGuest, prepareGuest } from './prepare-guest.ts'
import { createStageRecorder, type StageRecorder } from './recorder.ts'
import type { RunEvent } from './run-events.ts'
import { logsOf, type RunLogs } from './run-logs.ts'
import { createSealer, type Sealer } from './sealer.ts'
import { createSuspender, type Suspender } from './suspender.ts'
import { createTasks, type Tasks } from './tasks.ts'
import { createTimers, type Timers } from './timers.ts'

export interface StagesRequest
  extends Omit<GuestRequest, 'checkpointCommand' | 'serialLog' | 'mayResume' | 'holdsFailures'> {
  /** Packages of the parent layer by name. */
  readonly installed: ReadonlyMap<string, string>
  /** Versions of the host's tools. */
  readonly tools: Readonly<Record<string, string>>
  readonly estimate: (name: string) => number | undefined
  /** Decides what happens after a failed stage; without it, the run stops. */
  readonly decide: Decide | undefined
  /** The stage that a person is changing: the guest's state is saved before it. */
  readonly workedOn: string | undefined
  /** A last stage whose layer is not kept. */
  readonly throwAway: string | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

interface SetUpRequest extends StagesRequest {
  /** Whether the guest may resume from a saved state; it boots otherwise. */
  readonly mayResume: boolean
  readonly scratch: ScratchFolder
  /** Receives the events of the equipment. */
  readonly send: (event: RunEvent) => void
}

export interface Equipment {
  readonly logs: RunLogs
  /** Appends to a stage's log. */
  readonly log: (stage: string, text: string) => void
  readonly parts: Parts
  /** Work that must finish before the run ends. */
  readonly tasks: Tasks
  readonly server: CheckpointServer
  readonly guest: PreparedGuest
  readonly watch: GuestWatch
  readonly channel: Promise<Channel>
  readonly suspender: Suspender
  readonly sealer: Sealer
  readonly timers: Timers
  readonly recorder: StageRecorder
  readonly packer: Pick<PackerProcess, 'ended' | 'errors'> & {
    /** Makes Packer end its guest, once. Resolves when both are gone. */
    readonly stop: () => Promise<void>
  }
}

/** How long Packer may take to end its guest before both are killed. */
const stopGraceMs = 8_000

/** @throws the reason of `signal` when it is aborted before Packer starts */
export async function setUpRun(request: SetUpRequest, setUp: SetUp): Promise<Equipment> {
  const { plan, scratch, runFolder, emit, estimate, signal, send } = request
  const names = plan.stages.map(({ name }) => name)
  const logs = logsOf(runFolder, names)
  const append = openLogs(runFolder.path, (error) => send({ kind: 'log-failed', error }))
  const tasks = await setUp({ run: createTasks, cleanup: ({ settled }) => settled() })
  const server = await setUp(checkpointServer(request))
  const guest = await prepareGuest(
    {
      ...request,
      holdsFailures: request.decide !== undefined,
      checkpointCommand: server.command,
      serialLog: logs.serial,
    },
    scratch,
  )
  const watch = await setUp(
    nextGuest({
      serialLog: logs.serial,
      outputLogs: [logs.packer, logs.packerDebug],
      qmpSocket: scratch.qmpSocket,
      storeFolder: request.store.folder,
      bootTimeoutSeconds: plan.image.machine.bootTimeoutSeconds,
      onEvent: send,
    }),
  )
  await setUp(guestLoad(watch, emit))
  const disconnecting = await setUp({
    run: () => new AbortController(),
    cleanup: (controller) => controller.abort(),
  })
  const channel = awaitedLater(connectChannel(scratch.channelSocket, disconnecting.signal, watch.clock))
  const suspender = createSuspender({
    states: request.states,
    maximumBytes: plan.image.machine.savedStatesMiB * 1024 ** 2,
    // No state is saved for the sake of a stage whose layer is not kept.
    stages: names.filter((name) => name !== request.throwAway),
    workedOn: request.workedOn,
    estimate,
    keyOf: guest.keyOfState,
    qmp: watch.connected,
    onNote: (text) => emit({ kind: 'note', text }),
  })
  const sealer = createSealer({
    ...request,
    qmp: watch.qmp,
    channel,
    suspender,
    logOf: logs.reported,
    onSealed: (layer) => send({ kind: 'layer-sealed', layer }),
  })
  const timers = await setUp({
    run: () => createTimers((id) => send({ kind: 'timer-fired', id }), watch.clock),
    cleanup: ({ clearAll }) => clearAll(),
  })
  const recorder = createStageRecorder(new Map(request.installed), guest.stageMark, () => performance.now())

  signal.throwIfAborted()
  await setUp(interruption(request))
  const packer = await setUp(
    packerProcess(request, guest.template, logs, (line) => {
      append(logs.packer, line)
      const event = recorder.take(line)
      if (event !== undefined) send(event)
    }),
  )
  const log = (stage: string, text: string) => append(logs.of(stage), text)
  const parts = createParts(emit, estimate)
  return {
    ...{ logs, log, parts, tasks, server, guest, watch },
    ...{ channel, suspender, sealer, timers, recorder, packer },
  }
}

// --- internal ---

function checkpointServer({ scratch, send }: SetUpRequest): Step<CheckpointServer> {
  return {
    run: () =>
      startCheckpointServer(scratch.checkpointSocket, (name) => send({ kind: 'checkpoint-asked', name })),
    cleanup: ({ close }) => close(),
  }
}

/** How often the guest's load is measured. */
const loadEveryMs = 1000

/** Reports the guest's load while the guest runs. */
function guestLoad({ connected }: GuestWatch, emit: Emit): Step<AbortController> {
  const report = async (signal: AbortSignal) => {
    const measure = await measureLoad(await connected())
    for (;;) {
      await sleep(loadEveryMs, undefined, { signal })
      emit({ kind: 'guest-load', ...(await measure()) })
    }
  }
  return {
    run: () => {
      const ending = new AbortController()
      // It is only for people: without a guest, there is nothing to see.
      report(ending.signal).catch(() => undefined)
      return ending
    },
    cleanup: (ending) => ending.abort(),
  }
}

function interruption({ signal, send }: SetUpRequest): Step<void> {
  const interrupt = () => send({ kind: 'interrupted' })
  return {
    run: () => signal.addEventListener('abort', interrupt, { once: true }),
    cleanup: () => signal.removeEventListener('abort', interrupt),
  }
}

function packerProcess(
  { plan, runFolder, scratch }: SetUpRequest,
  template: string,
  logs: RunLogs,
  onText: (line: string) => void,
): Step<Equipment['packer']> {
  return {
    run: () => {
      const { ended, errors, stop } = startPacker({
        template,
        runFolder,
        scratch,
        debugLog: logs.packerDebug,
        secrets: secretsOf(plan.stages.map(({ stage }) => stage)),
        onLine: ({ text }) => onText(text),
      })
      // After a second signal, Packer would leave its guest behind.
      return { ended, errors, stop: once(() => stop(stopGraceMs)) }
    },
    cleanup: ({ stop }) => stop(),
  }
}

function once<Value>(act: () => Value): () => Value {
  let first: { readonly value: Value } | undefined
  return () => {
    first ??= { value: act() }
    return first.value
  }
}

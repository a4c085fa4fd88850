/** Sets up everything a run needs: the guest's files, our end of each connection to it, and Packer. */

import { diskFailed, isNoSpace } from '../host/failures.ts'
import type { ScratchFolder } from '../host/scratch-folder.ts'
import type { SetUp } from '../host/steps.ts'
import { type PackerProcess, startPacker } from '../packer/process.ts'
import type { Emit } from '../report/events.ts'
import { type Channel, connectChannel } from './channel.ts'
import { type CheckpointServer, startCheckpointServer } from './checkpoint-server.ts'
import { type GuestWatch, watchGuest } from './guest-watch.ts'
import type { Decide } from './hold.ts'
import { createParts, type Parts } from './parts.ts'
import { type GuestRequest, type PreparedGuest, prepareGuest } from './prepare-guest.ts'
import { createStageRecorder, type StageRecorder } from './recorder.ts'
import type { RunEvent } from './run-events.ts'
import { appendLine, logsOf, type RunLogs } from './run-logs.ts'
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
  /** Decides what happens after a failed stage; without it the run stops. */
  readonly decide: Decide | undefined
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
  const { plan, stages, scratch, runFolder, emit, estimate, signal, send } = request
  const { machine } = plan.image
  const names = plan.stages.map(({ name }) => name)
  const logs = logsOf(runFolder, names)
  const append = (path: string, text: string) =>
    appendLine(path, text, (cause) =>
      send({ kind: 'log-failed', error: diskFailed(isNoSpace(cause), runFolder.path, cause) }),
    )
  const tasks = await setUp({ run: createTasks, cleanup: ({ settled }) => settled() })
  const server = await setUp({
    run: () =>
      startCheckpointServer(scratch.checkpointSocket, (name) => send({ kind: 'checkpoint-asked', name })),
    cleanup: ({ close }) => close(),
  })
  const guest = await prepareGuest(
    {
      ...request,
      holdsFailures: request.decide !== undefined,
      checkpointCommand: server.command,
      serialLog: logs.serial,
    },
    scratch,
  )
  const watch = await setUp({
    run: () =>
      watchGuest({
        serialLog: logs.serial,
        qmpSocket: scratch.qmpSocket,
        storeFolder: request.store.folder,
        bootTimeoutSeconds: machine.bootTimeoutSeconds,
        onEvent: send,
      }),
    cleanup: ({ close }) => close(),
  })
  const disconnecting = await setUp({
    run: () => new AbortController(),
    cleanup: (controller) => controller.abort(),
  })
  const channel = connectChannel(scratch.channelSocket, disconnecting.signal, watch.clock)
  channel.catch(() => undefined)
  const suspender = createSuspender({
    states: request.states,
    maximumBytes: machine.savedStatesMiB * 1024 ** 2,
    stages: names,
    estimate,
    keyOf: guest.keyOfState,
    qmp: watch.connected,
    onNote: (text) => emit({ kind: 'note', text }),
  })
  const sealer = createSealer({
    ...request,
    stages,
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
  const recorder = createStageRecorder(new Map(request.installed), () => performance.now())

  signal.throwIfAborted()
  const interrupt = () => send({ kind: 'interrupted' })
  await setUp({
    run: () => signal.addEventListener('abort', interrupt, { once: true }),
    cleanup: () => signal.removeEventListener('abort', interrupt),
  })
  const packer = await setUp({
    run: () => {
      const { ended, errors, stop } = startPacker({
        template: guest.template,
        runFolder,
        scratch,
        debugLog: logs.packerDebug,
        onLine: ({ text }) => {
          append(logs.packer, text)
          const event = recorder.take(text)
          if (event !== undefined) send(event)
        },
      })
      // On a second signal, Packer would leave its guest behind.
      return { ended, errors, stop: once(() => stop(stopGraceMs)) }
    },
    cleanup: ({ stop }) => stop(),
  })
  const log = (stage: string, text: string) => append(logs.of(stage), text)
  const parts = createParts(emit, estimate)
  return {
    logs,
    log,
    parts,
    tasks,
    server,
    guest,
    watch,
    channel,
    suspender,
    sealer,
    timers,
    recorder,
    packer,
  }
}

function once<Value>(act: () => Value): () => Value {
  let first: { readonly value: Value } | undefined
  return () => {
    first ??= { value: act() }
    return first.value
  }
}

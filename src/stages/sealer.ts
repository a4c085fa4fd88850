/** Seals each stage's disk: a live snapshot between two stages, then a layer in the store while the next stage runs. */

import { relative } from 'node:path'
import { createOverlay } from '../disk/qemu-img.ts'
import { secondsSince } from '../host/elapsed.ts'
import type { PlannedStage } from '../plan/plan.ts'
import { diskId } from '../qemu/machine.ts'
import type { Qmp } from '../qemu/qmp.ts'
import type { Layer } from '../store/layer-record.ts'
import type { Store } from '../store/store.ts'
import type { Channel } from './channel.ts'
import type { StageOutcome } from './recorder.ts'
import type { Suspender } from './suspender.ts'

export interface SealerOptions {
  /** The stages that run, in order. */
  readonly stages: readonly PlannedStage[]
  readonly store: Store
  readonly tools: Readonly<Record<string, string>>
  readonly qmp: () => Qmp | undefined
  readonly channel: Promise<Channel>
  readonly suspender: Suspender
  /** Layer that the first stage starts from. */
  readonly parent: Layer
  /** Path of a stage's log relative to `out/`. */
  readonly logOf: (stage: string) => string
  /** Called when the store has recorded a layer. */
  readonly onSealed: (layer: Layer) => void
}

export interface Sealer {
  /** Suspends a freshly booted guest before its first stage, if its state is worth saving. */
  readonly opening: () => Promise<void>
  /** Records the state that `opening` saved. */
  readonly recordOpening: () => Promise<void>
  /** Seals a stage's disk while the guest runs, and redirects its writes to the next stage's. */
  readonly checkpoint: (stage: string) => Promise<void>
  /** Reads how much the last stage wrote, while QEMU is running. */
  readonly measureLast: () => Promise<void>
  /** Records a stage's sealed disk as a layer, after the layers below it, and its state if one was saved. */
  readonly record: (outcome: StageOutcome) => Promise<void>
}

/** Makes an empty overlay for every stage to run, each on top of the previous one. */
export async function createOverlays(
  store: Store,
  stages: readonly PlannedStage[],
  sizeBytes: number,
): Promise<void> {
  for (const stage of stages) {
    await store.remove(stage.key)
    await createLayerOverlay(store, stage, sizeBytes)
  }
}

async function createLayerOverlay(store: Store, stage: PlannedStage, sizeBytes: number): Promise<void> {
  const disk = store.disk(stage.key)
  // Relative, so that the store can be moved.
  const backing = relative(store.folder, store.disk(stage.parts.parent))
  await createOverlay({ file: disk, backing, sizeBytes })
}

export function createSealer(options: SealerOptions): Sealer {
  const { stages, store, qmp, suspender, logOf, onSealed } = options
  const bytesWritten = new Map<string, number>()
  const heldSeconds = new Map<string, number>()
  let writtenBefore = 0
  let queue: Promise<void> = Promise.resolve()

  /** One at a time, and none after a failure: a layer must not exist before its parent. */
  const enqueue = (work: () => Promise<void>): Promise<void> => {
    queue = queue.then(work)
    return queue
  }

  const measure = async (name: string): Promise<void> => {
    const total = await queryBytesWritten(qmp())
    bytesWritten.set(name, Math.max(0, total - writtenBefore))
    writtenBefore = total
  }

  const describe = (stage: PlannedStage, outcome: StageOutcome): Omit<Layer, 'sha256' | 'sizeBytes'> => ({
    key: stage.key,
    name: stage.name,
    parent: stage.parent,
    parts: stage.parts,
    createdAt: new Date().toISOString(),
    buildTimeSeconds: outcome.buildTimeSeconds,
    log: logOf(stage.name),
    artifacts: outcome.artifacts,
    packages: outcome.packages,
    bytesWritten: bytesWritten.get(stage.name) ?? 0,
    heldSeconds: heldSeconds.get(stage.name) ?? 0,
    tools: options.tools,
  })

  const keepState = async (layer: Layer): Promise<void> => suspender.commit(layer, await store.list())

  return {
    opening: async () => {
      if (!suspender.isWorthIt(undefined)) return
      const [first] = stages as readonly [PlannedStage]
      const channel = await options.channel
      await channel.suspend()
      await suspender.save(options.parent.key, store.disk(first.key))
      await channel.resume()
    },
    recordOpening: () => enqueue(() => keepState(options.parent)),
    checkpoint: async (name) => {
      const index = stages.findIndex((stage) => stage.name === name)
      const [stage, next] = [stages[index], stages[index + 1]]
      if (stage === undefined || next === undefined) throw new Error(`${name} has no checkpoint`)
      const keepsState = suspender.isWorthIt(name)
      const heldMs = performance.now()
      const channel = await options.channel
      await (keepsState ? channel.suspend() : channel.freeze())
      await measure(name)
      await connected(qmp()).execute('blockdev-snapshot-sync', {
        device: diskId,
        'snapshot-file': store.disk(next.key),
        format: 'qcow2',
        mode: 'existing',
      })
      if (keepsState) await suspender.save(stage.key)
      await (keepsState ? channel.resume() : channel.thaw())
      heldSeconds.set(name, secondsSince(heldMs))
    },
    measureLast: () => measure((stages.at(-1) as PlannedStage).name).catch(() => undefined),
    record: (outcome) =>
      enqueue(async () => {
        const stage = stages.find(({ name }) => name === outcome.name) as PlannedStage
        const layer = await store.commit(describe(stage, outcome))
        onSealed(layer)
        await keepState(layer)
      }),
  }
}

function connected(qmp: Qmp | undefined): Qmp {
  if (qmp === undefined) throw new Error('QEMU does not answer')
  return qmp
}

interface BlockStatistics {
  readonly device?: string
  readonly stats: { readonly wr_bytes: number }
}

async function queryBytesWritten(qmp: Qmp | undefined): Promise<number> {
  const devices = (await qmp?.execute('query-blockstats')) as readonly BlockStatistics[] | undefined
  return devices?.find(({ device }) => device === diskId)?.stats.wr_bytes ?? 0
}

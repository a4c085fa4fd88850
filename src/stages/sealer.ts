/** Seals what stages left: a live snapshot between two stages, then, beside the next one, a layer in the store. */

import { relative } from 'node:path'
import { execa } from 'execa'
import type { PipelineError } from '../errors.ts'
import type { PlannedStage } from '../plan/plan.ts'
import { diskDevice } from '../qemu/machine.ts'
import type { Qmp } from '../qemu/qmp.ts'
import type { StageResult } from '../report/report.ts'
import type { Layer, Store } from '../store/store.ts'
import type { Channel } from './channel.ts'
import { sealFailed } from './failures.ts'
import type { StageOutcome } from './recorder.ts'
import { resultOfLayer } from './results.ts'
import type { Suspender } from './suspender.ts'

export interface SealerOptions {
  /** The stages that run, in order. */
  readonly stages: readonly PlannedStage[]
  readonly store: Store
  readonly tools: Readonly<Record<string, string>>
  readonly qmp: () => Qmp | undefined
  readonly channel: () => Promise<Channel>
  readonly suspender: Suspender
  /** Layer that the first stage starts from. */
  readonly parent: Layer
  /** Path of a stage's log relative to `out/`. */
  readonly logOf: (stage: string) => string
  readonly onSealed: (result: StageResult) => void
  readonly onFailure: (error: PipelineError) => void
}

export interface Sealer {
  /** Keeps the state of a guest that has booted, before its first stage. */
  readonly opening: () => Promise<void>
  /** Takes what a stage's output told. The checkpoint of that stage waits for it. */
  readonly ended: (outcome: StageOutcome) => void
  /** Seals a stage's disk while the guest runs, and has it write to the next one's. */
  readonly checkpoint: (stage: string) => Promise<void>
  /** Reads how much the last stage wrote, as long as there is a QEMU to ask. */
  readonly beforeShutdown: () => Promise<void>
  /** Seals the last stage's disk after the guest has shut down. */
  readonly final: () => Promise<void>
  /** Resolves when every sealed disk is recorded as a layer, or has failed to be. */
  readonly settled: () => Promise<void>
}

/** Makes an empty overlay for every stage that will run, each on the one before. */
export async function createOverlays(
  store: Store,
  stages: readonly PlannedStage[],
  sizeBytes: number,
): Promise<void> {
  for (const stage of stages) {
    await store.remove(stage.key)
    await createOverlay(store, stage, sizeBytes)
  }
}

async function createOverlay(store: Store, stage: PlannedStage, sizeBytes: number): Promise<void> {
  const disk = store.disk(stage.key)
  // Relative, so that the store can be moved; unchecked, since what is below may be an empty overlay itself.
  const backing = relative(store.folder, store.disk(stage.parts.parent))
  const options = ['-q', '-u', '-f', 'qcow2', '-b', backing, '-F', 'qcow2']
  await execa('qemu-img', ['create', ...options, disk, `${sizeBytes}`], { timeout: 30_000 })
}

export function createSealer(options: SealerOptions): Sealer {
  const { stages, store, qmp, suspender, logOf, onSealed, onFailure } = options
  const outcomes = new Map<string, StageOutcome>()
  const waiting = new Map<string, (outcome: StageOutcome) => void>()
  const bytesWritten = new Map<string, number>()
  const heldSeconds = new Map<string, number>()
  let writtenBefore = 0
  let commits: Promise<unknown> = Promise.resolve()

  const outcomeOf = (name: string): Promise<StageOutcome> =>
    new Promise((resolve) => {
      const known = outcomes.get(name)
      if (known === undefined) waiting.set(name, resolve)
      else resolve(known)
    })

  const measure = async (name: string): Promise<void> => {
    const total = await queryBytesWritten(qmp())
    bytesWritten.set(name, Math.max(0, total - writtenBefore))
    writtenBefore = total
  }

  const commit = (stage: PlannedStage, outcome: StageOutcome): void => {
    // One after the other: a layer must not be there before the one that it stands on.
    commits = commits.then(async () => {
      try {
        const layer = await store.commit(describe(stage, outcome))
        onSealed(resultOfLayer(layer, 'ran'))
        await keepState(layer)
      } catch (cause) {
        onFailure(sealFailed(stage.name, cause, store.folder))
        throw cause
      }
    })
    commits.catch(() => undefined)
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

  const last = stages.at(-1) as PlannedStage

  const keepState = async (layer: Layer): Promise<void> => suspender.commit(layer, await store.list())

  return {
    opening: async () => {
      if (!suspender.isWorthIt(undefined)) return
      const [first] = stages as readonly [PlannedStage]
      const channel = await options.channel()
      await channel.sleep()
      await suspender.save(options.parent.key, store.disk(first.key))
      await channel.wake()
      commits = commits.then(() => keepState(options.parent))
    },
    ended: (outcome) => {
      outcomes.set(outcome.name, outcome)
      waiting.get(outcome.name)?.(outcome)
    },
    checkpoint: async (name) => {
      const index = stages.findIndex((stage) => stage.name === name)
      const [stage, next] = [stages[index], stages[index + 1]]
      if (stage === undefined || next === undefined) throw new Error(`${name} has no checkpoint`)
      const outcome = await outcomeOf(name)
      const isNap = suspender.isWorthIt(name)
      const heldMs = performance.now()
      try {
        const channel = await options.channel()
        await (isNap ? channel.sleep() : channel.freeze())
        await measure(name)
        await connected(qmp()).execute('blockdev-snapshot-sync', {
          device: diskDevice,
          'snapshot-file': store.disk(next.key),
          format: 'qcow2',
          mode: 'existing',
        })
        if (isNap) await suspender.save(stage.key)
        await (isNap ? channel.wake() : channel.thaw())
        heldSeconds.set(name, Math.round(performance.now() - heldMs) / 1000)
      } catch (cause) {
        onFailure(sealFailed(name, cause, store.folder))
        throw cause
      }
      commit(stage, outcome)
    },
    beforeShutdown: () => measure(last.name).catch(() => undefined),
    final: async () => commit(last, await outcomeOf(last.name)),
    settled: async () => {
      await commits.catch(() => undefined)
    },
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
  return devices?.find(({ device }) => device === diskDevice)?.stats.wr_bytes ?? 0
}

/** Decides after which layers the guest's state is worth keeping, and keeps it. */

import { copyFile } from 'node:fs/promises'
import type { Qmp } from '../qemu/qmp.ts'
import { saveState } from '../qemu/suspend.ts'
import type { States } from '../store/states.ts'
import type { Layer } from '../store/store.ts'
import type { Start } from './run-events.ts'

export interface SuspenderOptions {
  readonly states: States
  /** Room for all states together, in bytes. */
  readonly maximumBytes: number
  /** Key of this machine's state on a layer. */
  readonly keyOf: (layer: string) => Promise<string>
  readonly qmp: () => Promise<Qmp>
  /** Names of all stages of the plan, in order. */
  readonly stages: readonly string[]
  readonly estimate: (stage: string) => number | undefined
  /** Called with the reason why a state was not kept. */
  readonly onNote: (text: string) => void
}

export interface Suspender {
  /** Notes how the guest came up, and how long that took. */
  readonly started: (how: Start, seconds: number) => void
  /** Whether to keep the state that a stage leaves behind; undefined for that of the guest as it has booted. */
  readonly isWorthIt: (stage: string | undefined) => boolean
  /** Keeps the state of a suspended guest on `layer`. `disk` has what it wrote above, if it did. */
  readonly save: (layer: string, disk?: string) => Promise<void>
  /** Records what `save` has kept, once the layer's own record is there; then makes room. */
  readonly commit: (layer: Layer, layers: readonly Layer[]) => Promise<void>
}

/** Saving a guest that boots faster would cost more than it gains. */
const slowBootSeconds = 10

/** Changes are made to the last stages most often; a stage that takes long should not have to run again either. */
const lateShare = 2 / 3
const longStageSeconds = 5

export function createSuspender(options: SuspenderOptions): Suspender {
  const { states, stages, keyOf, onNote } = options
  let isSlow = false
  let isResumed = false
  const saved = new Map<string, string>()

  const isWorthIt = (stage: string | undefined): boolean => {
    if (options.maximumBytes === 0 || !isSlow) return false
    // One that was resumed has its state already.
    if (stage === undefined) return !isResumed
    if ((options.estimate(stage) ?? 0) >= longStageSeconds) return true
    const number = stages.indexOf(stage) + 1
    if (!isResumed) return number >= Math.floor(stages.length * lateShare)
    // What is changed next is mostly what was changed now, or what then fails: one that never ended well may do that.
    const next = stages[number]
    return next !== undefined && options.estimate(next) === undefined
  }

  const save = async (layer: string, disk?: string): Promise<void> => {
    const key = await keyOf(layer)
    try {
      await states.prepare(key)
      await saveState(await options.qmp(), states.memory(key), async () => {
        if (disk !== undefined) await copyFile(disk, states.changes(key))
      })
      saved.set(layer, key)
    } catch (cause) {
      await states.remove(key)
      onNote(`no state was kept: ${(cause as Error).message}`)
    }
  }

  return {
    started: (how, seconds) => {
      isResumed = how === 'resume'
      isSlow = isResumed || seconds >= slowBootSeconds
    },
    isWorthIt,
    save,
    commit: async (layer, layers) => {
      const key = saved.get(layer.key)
      if (key === undefined) return
      await states.commit(key, layer)
      await states.prune(layers, options.maximumBytes)
    },
  }
}

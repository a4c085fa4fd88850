/** Decides after which layers the guest's state is worth saving, and saves it. */

import { copyFile } from 'node:fs/promises'
import type { Qmp } from '../qemu/qmp.ts'
import { saveState } from '../qemu/suspend.ts'
import type { Layer } from '../store/layer-record.ts'
import type { States } from '../store/states.ts'
import type { Start } from './run-events.ts'

export interface SuspenderOptions {
  readonly states: States
  /** Limit for all states together, in bytes. */
  readonly maximumBytes: number
  /** Key of this machine's state on a layer. */
  readonly keyOf: (layer: string) => Promise<string>
  readonly qmp: () => Promise<Qmp>
  /** Names of all stages of the plan, in order. */
  readonly stages: readonly string[]
  /** The stage that a person is changing. */
  readonly workedOn: string | undefined
  readonly estimate: (stage: string) => number | undefined
  /** Called with the reason if a state was not saved. */
  readonly onNote: (text: string) => void
}

export interface Suspender {
  /** Notes whether the guest booted or resumed, and how long that took. */
  readonly started: (how: Start, seconds: number) => void
  /** Whether to save the state that a stage leaves behind; undefined stands for the freshly booted guest. */
  readonly isWorthIt: (stage: string | undefined) => boolean
  /** Saves the state of a suspended guest on `layer`. `disk` contains its writes above the layer, if any. */
  readonly save: (layer: string, disk?: string) => Promise<void>
  /** Records what `save` wrote, once the layer's own record exists; then makes room. */
  readonly commit: (layer: Layer, layers: readonly Layer[]) => Promise<void>
}

/** If a guest boots faster, saving its state costs more than it gains. */
const slowBootSeconds = 10

/** The last stages change most often; long stages should not have to run again either. */
const lateShare = 2 / 3
const longStageSeconds = 5

export function createSuspender(options: SuspenderOptions): Suspender {
  const { states, stages, keyOf, onNote } = options
  let isSlow = false
  let isResumed = false
  const saved = new Map<string, string>()

  const isWorthIt = (stage: string | undefined): boolean => {
    if (options.maximumBytes === 0 || !isSlow) return false
    // A resumed guest already has its state.
    if (stage === undefined) return !isResumed
    if ((options.estimate(stage) ?? 0) >= longStageSeconds) return true
    const number = stages.indexOf(stage) + 1
    if (options.workedOn !== undefined && stages[number] === options.workedOn) return true
    if (!isResumed) return number >= Math.floor(stages.length * lateShare)
    // The next change is usually where the last change or failure was: a stage that never ended well may be next.
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
      onNote(`no saved state was kept: ${(cause as Error).message}`)
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

/** Runs an image's scenes, as many guests at a time as there is room for. Scenes that share a boot wait for it. */

import { rm } from 'node:fs/promises'
import {
  type BaseBoot,
  type MachineSize,
  type MachineSizes,
  type SceneName,
  type SceneRecord,
  type SceneSpec,
  sceneSpecs,
  sizeOf,
} from '../contract/scenes.ts'
import { allEnded } from '../host/all-ended.ts'
import { type AcceleratorChoice, bootsOfEmulatedGuest } from '../qemu/accelerator.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { CheckResult, SceneResult } from '../report/verification.ts'
import { makeBaseBoot, type SceneRequest, sceneFolder } from './boot-scene.ts'
import type { GuestSlots } from './guest-slots.ts'
import { runScene, type SceneOutcome } from './run-scene.ts'

export interface ScenesRequest extends Omit<SceneRequest, 'name' | 'machine' | 'baseBoot'> {
  readonly names: readonly SceneName[]
  readonly machine: MachineSizes
  readonly slots: GuestSlots
  /** Keeps a scene's screenshot, and returns its path for the report. */
  readonly keepScreenshot: (scene: SceneName, file: string) => Promise<string>
  /** Called before the first scene, and whenever one ends. */
  readonly onScenes: (ended: number, total: number) => void
}

/** What the scenes found, in their order. */
export interface ScenesOutcome {
  readonly scenes: readonly SceneResult[]
  readonly checks: readonly CheckResult[]
}

export async function runScenes(request: ScenesRequest): Promise<ScenesOutcome> {
  const { names, machine, slots, keepScreenshot, onScenes, ...shared } = request
  let ended = 0
  onScenes(ended, names.length)
  const baseBoots = new Map<MachineSize, Promise<BaseBoot>>()
  const run = async (name: SceneName) => {
    const wants = { ...shared, name, machine: sizeOf(name, machine) }
    const spec: SceneSpec = sceneSpecs[name]
    if (spec.isBranch === true && !baseBoots.has(wants.machine)) {
      baseBoots.set(wants.machine, slots(makeSteadyBaseBoot, wants))
    }
    const baseBoot = spec.isBranch === true ? await baseBoots.get(wants.machine) : undefined
    const { scene, checks, screenshot } = await slots(runSteadily, { ...wants, baseBoot })
    const kept = screenshot === undefined ? {} : { screenshot: await keepScreenshot(name, screenshot) }
    // The next guest needs the room that its disk takes.
    await rm(sceneFolder(wants), { recursive: true, force: true })
    ended += 1
    onScenes(ended, names.length)
    return { checks, scene: { ...scene, ...kept } }
  }
  const outcomes = await allEnded(names.map(run))
  return {
    scenes: outcomes.map(({ scene }) => scene),
    checks: outcomes.flatMap(({ checks }) => checks),
  }
}

/** If it fails, all scenes that resume from it fail too, so a failure that says nothing about the image does not count. */
async function makeSteadyBaseBoot(wants: Omit<SceneRequest, 'baseBoot'>): Promise<BaseBoot> {
  return steadily(() => makeBaseBoot(wants), wants.acceleration)
}

/** A scene does not have its own guest if its base boot failed. */
async function runSteadily(wants: SceneRequest): Promise<SceneOutcome> {
  const hasGuest = wants.baseBoot === undefined || wants.baseBoot.saved !== undefined
  return hasGuest ? steadily(() => runScene(wants), wants.acceleration) : runScene(wants)
}

/** Boots once more if the host caused the failure, and again as long as an emulated guest's CPU panics. */
async function steadily<Outcome extends Course>(
  boot: () => Promise<Outcome>,
  { accelerator }: Pick<AcceleratorChoice, 'accelerator'>,
): Promise<Outcome> {
  for (let boots = 1; ; boots += 1) {
    const outcome = await boot()
    if (boots >= mostBoots(outcome, accelerator)) return outcome
  }
}

/** How a boot went, as far as it decides whether to trust the outcome. */
export type Course = Pick<BaseBoot, 'record' | 'waitingShare'>

/** From this share of waiting on, timeouts of services in the guest are the host's fault. */
const starvedShare = 0.2

/** How many boots it takes before this outcome counts. */
export function mostBoots({ record, waitingShare }: Course, accelerator: Accelerator): number {
  if (record.trouble === undefined) return 1
  if (accelerator === 'tcg' && hasPanicked(record)) return bootsOfEmulatedGuest
  return waitingShare >= starvedShare ? 2 : 1
}

/** Whether the kernel panicked before any check could run. */
function hasPanicked({ trouble, agentSeconds }: SceneRecord): boolean {
  return trouble?.isPanic === true && agentSeconds === undefined
}

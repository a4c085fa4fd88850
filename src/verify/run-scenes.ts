/** Runs an image's scenes, as many guests at a time as there is room for. Scenes that share a boot wait for it. */

import { rm } from 'node:fs/promises'
import {
  type BaseBoot,
  type MachineSize,
  type MachineSizes,
  type SceneName,
  type SceneSpec,
  sceneSpecs,
  sizeOf,
} from '../contract/scenes.ts'
import { allEnded } from '../host/all-ended.ts'
import { bootsOfEmulatedGuest } from '../qemu/accelerator.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { CheckResult, SceneResult } from '../report/verification.ts'
import { makeBaseBoot, type SceneRequest, sceneFolder } from './boot-scene.ts'
import type { GuestSlots } from './guest-slots.ts'
import { hasPanicked, runScene } from './run-scene.ts'

export interface ScenesRequest extends Omit<SceneRequest, 'name' | 'machine' | 'baseBoot'> {
  readonly names: readonly SceneName[]
  readonly machine: MachineSizes
  readonly slots: GuestSlots
  /** Keeps a scene's screenshot, and returns its path for the report. */
  readonly keepScreenshot: (scene: SceneName, file: string) => Promise<string>
  /** Called before the first scene, and as each ends. */
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
    // Its disk takes room that the next guest needs.
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

/** A failure fails all scenes that resume from it, so one that says nothing about the image is not believed. */
async function makeSteadyBaseBoot(wants: Omit<SceneRequest, 'baseBoot'>): Promise<BaseBoot> {
  const first = await makeBaseBoot(wants)
  return isInconclusive(first, wants.acceleration.accelerator) ? makeBaseBoot(wants) : first
}

/** From this share of waiting on, the timeouts of services in the guest are the host's fault. */
const starvedShare = 0.2

/** Whether a boot failed for want of the host's processors, or by a panic of an emulated CPU. */
export function isInconclusive(
  { saved, record, waitingShare }: Pick<BaseBoot, 'saved' | 'record' | 'waitingShare'>,
  accelerator: Accelerator,
): boolean {
  if (saved !== undefined) return false
  return waitingShare >= starvedShare || (accelerator === 'tcg' && hasPanicked(record))
}

/** Boots an emulated guest again if it panics: that says nothing about the image. */
async function runSteadily(wants: SceneRequest) {
  let outcome = await runScene(wants)
  const isOwnBoot = wants.baseBoot === undefined && wants.acceleration.accelerator === 'tcg'
  for (let boots = 1; isOwnBoot && outcome.hasPanicked && boots < bootsOfEmulatedGuest; boots += 1)
    outcome = await runScene(wants)
  return outcome
}

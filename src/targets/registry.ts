/** The targets by name: what image files can be made for. All that depends on which there are is derived here. */

import type { z } from 'zod'
import type { DeviceModel } from './device-model.ts'
import * as list from './list.ts'
import type { Archive, Target, TargetSettings } from './target.ts'

type Targets = typeof list

export type TargetName = keyof Targets

export type DeviceModelName = { [Name in TargetName]: keyof Targets[Name]['deviceModels'] }[TargetName]

/** A scene that some target asks for. */
type SceneName = Targets[TargetName]['scenes'][number]

/** An assertion that some target has a check of its own for. */
export type CheckId = { [Name in TargetName]: keyof Targets[Name]['checks'] }[TargetName]

type AnyTarget = Target<TargetName, z.ZodType<TargetSettings>, DeviceModelName, SceneName, CheckId>

export const targets: Readonly<Record<TargetName, AnyTarget>> = { ...list }

/** By rank. */
export const targetNames = (Object.keys(list) as TargetName[]).sort(
  (one, other) => targets[one].rank - targets[other].rank,
)

/** How each target's file is written, with everything decided. */
export type FormatSettings = { readonly [Name in TargetName]: z.output<Targets[Name]['settings']> }

/** The schema of each target's settings. */
export const formatFields = Object.fromEntries(targetNames.map((name) => [name, targets[name].settings])) as {
  [Name in TargetName]: Targets[Name]['settings']
}

/** Every device model that some target's file is booted with. Targets may share one. */
export const deviceModels: Readonly<Record<DeviceModelName, DeviceModel>> = Object.assign(
  {},
  ...targetNames.map((name) => targets[name].deviceModels),
)

/** How a target's file is packed once more. */
export function archiveOf(target: TargetName, formats: FormatSettings): Archive {
  const settings = formats[target]
  return 'archive' in settings ? settings.archive : 'none'
}

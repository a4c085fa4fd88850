/** Resolves the stages of a pipeline: their overrides, their settings, and what they declare for one image. */

import { dirname, resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { isUrl } from '../redact.ts'
import { type Fault, formatFound, type Resolution } from './faults.ts'
import type { ImageFacts } from './image.ts'
import { issuesToFaults } from './issues.ts'
import { isRecord, mergeOver, type Overrides, originOf, textOf } from './overrides.ts'
import type { ResolvedStage } from './resolved.ts'
import type { StageUse } from './stage.ts'
import { parseTyped } from './typed-texts.ts'

/** Applies `stages: {name: settings}` of overrides to the stages in use. */
export function overrideStages(
  uses: readonly StageUse[],
  overrides: readonly Overrides[],
): Resolution<readonly StageUse[]> {
  const chosen = overrides.map((over) => settingsByStage(uses, over))
  const value = uses.map((use) => {
    const layers = chosen.flatMap(({ value: byName }) => byName.get(use.name) ?? [])
    return { ...use, settings: layers.reduce<unknown>(mergeOver, use.settings) as StageUse['settings'] }
  })
  return { value, faults: chosen.flatMap(({ faults }) => faults) }
}

/** One stage as resolved for an image; undefined if the image omits it or its settings are wrong. */
export function resolveStage(
  use: StageUse,
  facts: ImageFacts,
  overrides: readonly Overrides[],
): Resolution<ResolvedStage | undefined> {
  const { value: settings, faults } = resolveSettings(use, overrides)
  const { spec } = use
  if (settings === undefined || spec.when?.(settings, facts) === false) return { value: undefined, faults }
  const folder = dirname(fileURLToPath(spec.from))
  const files = Object.fromEntries(
    Object.entries(spec.files?.(settings, facts) ?? {}).map(([name, path]) => [
      name,
      isUrl(path) ? path : resolvePath(folder, path),
    ]),
  )
  const value = {
    name: use.name,
    summary: spec.summary,
    script: resolvePath(folder, `${use.name}.sh`),
    settings,
    environment: spec.environment?.(settings, facts) ?? {},
    packages: spec.packages?.(settings, facts) ?? [],
    leaves: spec.leaves?.(settings, facts) ?? [],
    files,
    sources: files,
    fileKinds: spec.fileKinds ?? {},
    filesTop: spec.filesTop ?? {},
    network: spec.network ?? false,
    timeoutSeconds: spec.timeoutSeconds ?? 900,
  }
  return { value, faults }
}

/** A stage's settings with every default; undefined if any setting is wrong. */
export function resolveSettings(
  use: StageUse,
  overrides: readonly Overrides[],
): Resolution<Record<string, never> | undefined> {
  const prefix = ['stages', use.name]
  const schema = z.strictObject(use.spec.settings ?? {})
  const { parsed, value } = parseTyped(schema, use.settings, (path) =>
    textOf(overrides, [...prefix, ...path]),
  )
  if (parsed.success) return { value: parsed.data as Record<string, never>, faults: [] }
  const faults = issuesToFaults(parsed.error.issues, value, prefix, overrides)
  return { value: undefined, faults }
}

/** Names of those parts of a run that the report lists in addition to stages. */
const partNames = ['base', 'repack', 'boot', 'shutdown', 'inputs', 'flatten']

/** Faults of the names of stages. */
export function stageNameFaults(uses: readonly StageUse[]): Fault[] {
  const names = uses.map((use) => use.name)
  const unfit = names.filter((name) => !/^[a-z][a-z0-9_]*$/.test(name))
  const taken = names.filter((name) => partNames.includes(name))
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  return [
    ...twice.map((name) => ({ path: 'stages', rule: `stage ${name} is listed twice` })),
    ...unfit.map((name) => ({
      path: 'stages',
      rule: 'the name of a stage must be lower case letters, digits and underscores',
      found: formatFound(name),
    })),
    ...taken.map((name) => ({
      path: 'stages',
      rule: `${name} is the name of a part of every run, so no stage can have that name`,
    })),
  ]
}

// --- internal ---

function settingsByStage(
  uses: readonly StageUse[],
  over: Overrides,
): Resolution<ReadonlyMap<string, Record<string, unknown>>> {
  const value = new Map<string, Record<string, unknown>>()
  const { stages } = over.values
  if (stages === undefined) return { value, faults: [] }
  if (!isRecord(stages)) {
    const rule = 'must map stage names to settings'
    const origin = originOf([over], ['stages'])
    return { value, faults: [{ path: 'stages', rule, found: formatFound(stages), ...origin }] }
  }
  const known = uses.map(({ name }) => name)
  const faults = Object.entries(stages).flatMap(([name, settings]): Fault[] => {
    const path = `stages.${name}`
    if (!known.includes(name)) {
      const rule = `is not a stage of this pipeline, which has ${known.join(', ')}`
      return [{ path, rule, ...originOf([over], ['stages', name], 'key') }]
    }
    if (!isRecord(settings)) {
      const origin = originOf([over], ['stages', name])
      return [{ path, rule: 'must map names of settings to values', found: formatFound(settings), ...origin }]
    }
    value.set(name, settings)
    return []
  })
  return { value, faults }
}

/** Resolves what people wrote: fills in every default, and reports every fault at once. */

import { configurationError, type Fault, formatFound, type Resolution } from './faults.ts'
import { baseImageFaults } from './installer.ts'
import { issuesToFaults } from './issues.ts'
import { mergeOver, type Overrides, textOf } from './overrides.ts'
import { maximumEpoch, type Pipeline, type PipelineFields, pipelineFields } from './pipeline.ts'
import { placeFaults } from './pipeline-places.ts'
import { expandPresets } from './presets.ts'
import { checkNameFaults } from './resolve-check.ts'
import { fileNameFaults, type Given, resolveImage, type Uses } from './resolve-image.ts'
import { overrideStages, resolveSettings, stageNameFaults } from './resolve-stage.ts'
import type { ResolvedImage, ResolvedPipeline } from './resolved.ts'
import { type Epoch, faultsBetween } from './rules-between.ts'
import { checkScripts } from './scripts.ts'
import { parseTyped } from './typed-texts.ts'
import { validFields } from './valid-fields.ts'

/**
 * Resolves a pipeline.
 * @param snapshots for `mirror.snapshot: 'latest'`: the instant for each variant
 * @throws PipelineError `configuration` with every fault found
 */
export async function resolvePipeline(
  pipeline: Pipeline,
  overrides: readonly Overrides[] = [],
  environment: Readonly<Record<string, string | undefined>> = {},
  snapshots: ReadonlyMap<string, string> = new Map(),
): Promise<ResolvedPipeline> {
  const { stages: written, checks = [], ...ownFields } = pipeline
  const merged = overrides.reduce<unknown>((value, over) => {
    const { stages: _stages, ...fields } = over.values
    return mergeOver(value, expandPresets(fields))
  }, expandPresets(ownFields))
  const { parsed, value: typed } = parseTyped(pipelineFields, merged, (path) => textOf(overrides, path))
  const uses = overrideStages(written, overrides)
  const valid = validFields(typed)
  const epoch = resolveEpoch(valid.date, environment.SOURCE_DATE_EPOCH)
  const images = parsed.success
    ? await resolveImages(
        parsed.data,
        { stages: uses.value, checks },
        { sourceDateEpoch: epoch.value.seconds, overrides, snapshots },
      )
    : // Settings can be checked without the image; anything that depends on both waits for the next run.
      { value: [], faults: uses.value.flatMap((use) => resolveSettings(use, overrides).faults) }
  const faults = [
    ...(parsed.success ? [] : issuesToFaults(parsed.error.issues, typed, [], overrides)),
    ...uses.faults,
    ...epoch.faults,
    ...stageNameFaults(uses.value),
    ...checkNameFaults(checks),
    ...faultsBetween(valid, epoch.value, overrides),
    ...images.faults,
  ]
  if (faults.length > 0) throw configurationError(await placeFaults(unique(faults), pipeline))
  const maximumGiB = parsed.data?.store.maximumGiB
  const maximumStoreBytes = maximumGiB === undefined ? undefined : Math.floor(maximumGiB * 1024 ** 3)
  return { name: parsed.data?.name ?? '', maximumStoreBytes, images: images.value }
}

async function resolveImages(
  fields: PipelineFields,
  uses: Uses,
  given: Given,
): Promise<Resolution<readonly ResolvedImage[]>> {
  const resolved = fields.variants.map((variant) => resolveImage(fields, variant, uses, given))
  const value = resolved.map((image) => image.value)
  const faults = [
    ...resolved.flatMap((image) => image.faults),
    ...fileNameFaults(value),
    ...(await checkScripts(value)),
    ...(await baseImageFaults(value)),
  ]
  return { value, faults }
}

function resolveEpoch(date: string | undefined, fromEnvironment: string | undefined): Resolution<Epoch> {
  const seconds = date === undefined ? 0 : Date.parse(`${date}T00:00:00Z`) / 1000
  const value: Epoch = { seconds, source: 'date' }
  if (fromEnvironment === undefined || fromEnvironment === '') return { value, faults: [] }
  const isWhole = /^\d+$/.test(fromEnvironment)
  if (isWhole && Number(fromEnvironment) <= maximumEpoch)
    return { value: { seconds: Number(fromEnvironment), source: 'SOURCE_DATE_EPOCH' }, faults: [] }
  const rule = isWhole
    ? `must be at most ${maximumEpoch}, the last second of a file in an OVA`
    : 'must be whole seconds since 1970'
  const found = formatFound(fromEnvironment)
  return { value, faults: [{ path: 'SOURCE_DATE_EPOCH', rule, found, source: 'environment' }] }
}

function unique(faults: readonly Fault[]): Fault[] {
  const seen = new Map(faults.map((fault) => [JSON.stringify(fault), fault]))
  return [...seen.values()]
}

/** Resolves what people wrote: fills in every default, and reports every fault at once. */

import type { Surroundings } from '../targets/target.ts'
import { diskFaults } from './disk-rules.ts'
import { configurationError, type Fault, formatFound, type Resolution } from './faults.ts'
import { baseImageFaults } from './installer.ts'
import { issuesToFaults } from './issues.ts'
import { isRecord, mergeOver, type Overrides, textOf } from './overrides.ts'
import { maximumEpoch, type Pipeline, type PipelineFields, pipelineFields } from './pipeline.ts'
import { expandPresets } from './presets.ts'
import { registrationFaults } from './registration-rules.ts'
import { fileNameFaults, resolveImage } from './resolve-image.ts'
import { overrideStages, resolveSettings, stageNameFaults } from './resolve-stage.ts'
import type { ResolvedImage, ResolvedPipeline } from './resolved.ts'
import { checkScripts } from './scripts.ts'
import type { StageUse } from './stage.ts'
import { settingFaults } from './suite-settings.ts'
import { targetFaults } from './target-rules.ts'
import { parseTyped } from './typed-texts.ts'

/**
 * Resolves a pipeline.
 * @throws PipelineError `configuration` with every fault found
 */
export async function resolvePipeline(
  pipeline: Pipeline,
  overrides: readonly Overrides[] = [],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<ResolvedPipeline> {
  const { stages: written, ...ownFields } = pipeline
  const merged = overrides.reduce<unknown>((value, over) => {
    const { stages: _stages, ...fields } = over.values
    return mergeOver(value, expandPresets(fields))
  }, expandPresets(ownFields))
  const { parsed, value: typed } = parseTyped(pipelineFields, merged, (path) => textOf(overrides, path))
  const uses = overrideStages(written, overrides)
  const epoch = resolveEpoch(parsed.data?.date, environment.SOURCE_DATE_EPOCH)
  // Rules between values are checked as far as the values themselves are valid.
  const disk = pipelineFields.shape.disk.safeParse(isRecord(typed) ? typed.disk : undefined)
  const images = parsed.success
    ? await resolveImages(parsed.data, uses.value, epoch.value, overrides)
    : // Settings can be checked without the image; what depends on both waits for the next run.
      { value: [], faults: uses.value.flatMap((use) => resolveSettings(use, overrides).faults) }
  const faults = [
    ...(parsed.success ? [] : issuesToFaults(parsed.error.issues, typed, [], overrides)),
    ...uses.faults,
    ...epoch.faults,
    ...stageNameFaults(uses.value),
    ...(disk.success ? diskFaults(disk.data, overrides) : []),
    ...images.faults,
  ]
  if (faults.length > 0) throw configurationError(unique(faults))
  const maximumGiB = parsed.data?.store.maximumGiB
  const maximumStoreBytes = maximumGiB === undefined ? undefined : Math.floor(maximumGiB * 1024 ** 3)
  return { name: parsed.data?.name ?? '', maximumStoreBytes, images: images.value }
}

async function resolveImages(
  fields: PipelineFields,
  uses: readonly StageUse[],
  epoch: number,
  overrides: readonly Overrides[],
): Promise<Resolution<readonly ResolvedImage[]>> {
  const resolved = fields.variants.map((variant) => resolveImage(fields, variant, uses, epoch, overrides))
  const value = resolved.map((image) => image.value)
  const faults = [
    ...resolved.flatMap((image) => image.faults),
    ...targetFaults(fields.targets, fields.formats, surroundingsOf(fields, epoch), overrides),
    ...fileNameFaults(value),
    ...registrationFaults(fields, overrides),
    ...settingFaults(fields, overrides),
    ...(await checkScripts(value)),
    ...(await baseImageFaults(value)),
  ]
  return { value, faults }
}

function resolveEpoch(date: string | undefined, fromEnvironment: string | undefined): Resolution<number> {
  const value = date === undefined ? 0 : Date.parse(`${date}T00:00:00Z`) / 1000
  if (fromEnvironment === undefined || fromEnvironment === '') return { value, faults: [] }
  const isWhole = /^\d+$/.test(fromEnvironment)
  if (isWhole && Number(fromEnvironment) <= maximumEpoch)
    return { value: Number(fromEnvironment), faults: [] }
  const rule = isWhole
    ? `must be at most ${maximumEpoch}, the last second of a file in an OVA`
    : 'must be whole seconds since 1970'
  const found = formatFound(fromEnvironment)
  return { value, faults: [{ path: 'SOURCE_DATE_EPOCH', rule, found, source: 'environment' }] }
}

function surroundingsOf(fields: PipelineFields, sourceDateEpoch: number): Surroundings {
  const { disk, kernelPackage, date } = fields
  return { diskMiB: disk.sizeMiB, partitions: disk.partitions, kernelPackage, date, sourceDateEpoch }
}

function unique(faults: readonly Fault[]): Fault[] {
  const seen = new Map(faults.map((fault) => [JSON.stringify(fault), fault]))
  return [...seen.values()]
}

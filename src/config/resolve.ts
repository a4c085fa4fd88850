/** Resolves what people wrote: fills in every default, and reports every fault at once. */

import { dirname, resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Disk } from '../disk/layout.ts'
import type { Surroundings } from '../targets/target.ts'
import { diskFaults } from './disk-rules.ts'
import { configurationError, type Fault, formatFound } from './faults.ts'
import { isUrl } from './file-source.ts'
import type { ImageFacts } from './image.ts'
import { baseImageFaults, resolveInstaller } from './installer.ts'
import { issuesToFaults } from './issues.ts'
import { isRecord, mergeOver, type Overrides } from './overrides.ts'
import { maximumEpoch, type Pipeline, type PipelineFields, pipelineFields } from './pipeline.ts'
import { expandPresets } from './presets.ts'
import { registrationFaults } from './registration-rules.ts'
import type { ResolvedImage, ResolvedPipeline, ResolvedStage } from './resolved.ts'
import { checkScripts } from './scripts.ts'
import type { StageUse } from './stage.ts'
import { targetFaults } from './target-rules.ts'

const debianVersions = { bookworm: 12, trixie: 13 } as const
const debianArchs = { x86_64: 'amd64', aarch64: 'arm64' } as const

/**
 * Resolves a pipeline.
 * @throws PipelineError `configuration` with every fault found
 */
export async function resolvePipeline(
  pipeline: Pipeline,
  overrides: readonly Overrides[] = [],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<ResolvedPipeline> {
  const { stages: uses, ...written } = pipeline
  const merged = overrides.reduce<unknown>((value, over) => {
    const { stages: _stages, ...fields } = over.values
    return mergeOver(value, expandPresets(fields))
  }, expandPresets(written))
  const faults: Fault[] = []
  const parsed = pipelineFields.safeParse(merged)
  if (!parsed.success) faults.push(...issuesToFaults(parsed.error.issues, merged, [], overrides))
  const usedStages = overrideStages(uses, overrides, faults)
  const epoch = resolveEpoch(parsed.data?.date, environment.SOURCE_DATE_EPOCH, faults)
  faults.push(...nameOfStageFaults(usedStages))

  const images: ResolvedImage[] = []
  // Rules between values are checked as far as the values themselves are valid.
  const disk = pipelineFields.shape.disk.safeParse(isRecord(merged) ? merged.disk : undefined)
  if (disk.success) faults.push(...diskFaults(disk.data, overrides))
  if (parsed.success) {
    for (const variant of parsed.data.variants) {
      images.push(resolveImage(parsed.data, variant, usedStages, epoch, overrides, faults))
    }
    faults.push(
      ...targetFaults(
        parsed.data.targets,
        parsed.data.formats,
        surroundingsOf(parsed.data, epoch),
        overrides,
      ),
      ...nameFaults(images),
    )
    faults.push(...registrationFaults(parsed.data, overrides))
    faults.push(...(await checkScripts(images)), ...(await baseImageFaults(images)))
  } else {
    // Settings can be checked without the image; what depends on both waits for the next run.
    for (const use of usedStages) parseSettings(use, overrides, faults)
  }
  if (faults.length > 0) throw configurationError(unique(faults))
  const maximumGiB = parsed.data?.store.maximumGiB
  const maximumStoreBytes = maximumGiB === undefined ? undefined : Math.floor(maximumGiB * 1024 ** 3)
  return { name: parsed.data?.name ?? '', maximumStoreBytes, images }
}

function resolveImage(
  fields: PipelineFields,
  variant: PipelineFields['variants'][number],
  uses: readonly StageUse[],
  sourceDateEpoch: number,
  overrides: readonly Overrides[],
  faults: Fault[],
): ResolvedImage {
  const { variants: _variants, date: _date, store: _store, installer: _installer, disk, ...shared } = fields
  const { installer, baseImage } = resolveInstaller(variant.installer ?? fields.installer)
  const facts: ImageFacts = {
    ...shared,
    sourceDateEpoch,
    variant: [variant.suite, variant.arch, ...(variant.installer === undefined ? [] : [installer])].join('-'),
    suite: variant.suite,
    debianVersion: debianVersions[variant.suite],
    arch: variant.arch,
    debianArch: debianArchs[variant.arch],
    disk: disk as Disk,
  }
  const stages: ResolvedStage[] = []
  for (const use of uses) {
    const stage = resolveStage(use, facts, overrides, faults)
    if (stage !== undefined) stages.push(stage)
  }
  const label = variant.label === undefined ? '' : `-${variant.label}`
  return {
    ...facts,
    installer,
    baseImage,
    debianInstaller: fields.debianInstaller,
    machine: fields.machine,
    formats: fields.formats,
    verification: fields.verification,
    waivers: fields.waivers,
    label: variant.label,
    downloadUrl: fields.downloadUrl,
    repository: fields.repository,
    stages,
    fileName: `${fields.name}-${fields.release}${label}-${variant.arch}`,
  }
}

function resolveStage(
  use: StageUse,
  facts: ImageFacts,
  overrides: readonly Overrides[],
  faults: Fault[],
): ResolvedStage | undefined {
  const settings = parseSettings(use, overrides, faults)
  if (settings === undefined) return undefined
  const { spec } = use
  if (spec.when?.(settings, facts) === false) return undefined
  const folder = dirname(fileURLToPath(spec.from))
  const files = Object.fromEntries(
    Object.entries(spec.files?.(settings, facts) ?? {}).map(([name, path]) => [
      name,
      isUrl(path) ? path : resolvePath(folder, path),
    ]),
  )
  return {
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
}

function parseSettings(
  use: StageUse,
  overrides: readonly Overrides[],
  faults: Fault[],
): Record<string, never> | undefined {
  const parsed = z.strictObject(use.spec.settings ?? {}).safeParse(use.settings)
  if (parsed.success) return parsed.data as Record<string, never>
  faults.push(...issuesToFaults(parsed.error.issues, use.settings, ['stages', use.name], overrides))
  return undefined
}

/** Applies `stages: {name: settings}` of overrides to the stages in use. */
function overrideStages(
  uses: readonly StageUse[],
  overrides: readonly Overrides[],
  faults: Fault[],
): readonly StageUse[] {
  let result = [...uses]
  for (const { source, values } of overrides) {
    if (values.stages === undefined) continue
    if (!isRecord(values.stages)) {
      const rule = 'must map stage names to settings'
      faults.push({ path: 'stages', rule, found: formatFound(values.stages), source })
      continue
    }
    for (const [name, settings] of Object.entries(values.stages)) {
      if (!uses.some((use) => use.name === name)) {
        const known = uses.map((use) => use.name).join(', ')
        faults.push({
          path: `stages.${name}`,
          rule: `is not a stage of this pipeline, which has ${known}`,
          source,
        })
      } else if (!isRecord(settings)) {
        const rule = 'must be settings by name'
        faults.push({ path: `stages.${name}`, rule, found: formatFound(settings), source })
      } else {
        result = result.map((use) =>
          use.name === name
            ? { ...use, settings: mergeOver(use.settings, settings) as StageUse['settings'] }
            : use,
        )
      }
    }
  }
  return result
}

function resolveEpoch(
  date: string | undefined,
  fromEnvironment: string | undefined,
  faults: Fault[],
): number {
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    const isWhole = /^\d+$/.test(fromEnvironment)
    if (isWhole && Number(fromEnvironment) <= maximumEpoch) return Number(fromEnvironment)
    const rule = isWhole
      ? `must be at most ${maximumEpoch}, the last second of a file in an OVA`
      : 'must be whole seconds since 1970'
    faults.push({
      path: 'SOURCE_DATE_EPOCH',
      rule,
      found: formatFound(fromEnvironment),
      source: 'environment',
    })
  }
  return date === undefined ? 0 : Date.parse(`${date}T00:00:00Z`) / 1000
}

/** Names in the report for parts of a run that are not stages. */
const partNames = ['base', 'boot', 'shutdown', 'inputs', 'flatten']

function nameOfStageFaults(uses: readonly StageUse[]): Fault[] {
  const names = uses.map((use) => use.name)
  const unfit = names.filter((name) => !/^[a-z][a-z0-9_]*$/.test(name))
  const taken = names.filter((name) => partNames.includes(name))
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  return [
    ...twice.map((name) => ({ path: 'stages', rule: `stage ${name} is listed twice` })),
    ...unfit.map((name) => ({
      path: 'stages',
      rule: 'a stage is named in lower case letters, digits and underscores',
      found: formatFound(name),
    })),
    ...taken.map((name) => ({
      path: 'stages',
      rule: `${name} is the name of a part of every run, so no stage can have it`,
    })),
  ]
}

function surroundingsOf(fields: PipelineFields, sourceDateEpoch: number): Surroundings {
  const { disk, kernelPackage, date } = fields
  return { diskMiB: disk.sizeMiB, partitions: disk.partitions, kernelPackage, date, sourceDateEpoch }
}

function nameFaults(images: readonly ResolvedImage[]): Fault[] {
  const names = images.map((image) => image.fileName)
  return names.flatMap((name, index) =>
    names.indexOf(name) === index
      ? []
      : [
          {
            path: `variants[${index}].label`,
            rule: `needs a label, or its files would be named ${name} like another's`,
          },
        ],
  )
}

function unique(faults: readonly Fault[]): Fault[] {
  const seen = new Map(faults.map((fault) => [JSON.stringify(fault), fault]))
  return [...seen.values()]
}

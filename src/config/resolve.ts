/** From what people wrote to what is decided: every default filled in, every fault reported at once. */

import { dirname, resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { z as zod } from 'zod'
import { configurationError, type Fault, formatFound, formatPath } from './faults.ts'
import type { Disk, ImageFacts, Partition } from './image.ts'
import { isRecord, mergeOver, type Overrides, sourceOf } from './overrides.ts'
import { type Pipeline, type PipelineFields, pipelineFields } from './pipeline.ts'
import { checkScripts } from './scripts.ts'
import type { StageUse } from './stage.ts'

/** One stage of one image, with everything decided. */
export interface ResolvedStage {
  readonly name: string
  readonly summary: string
  /** Absolute path of the script on the host. */
  readonly script: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string>>
  readonly packages: readonly string[]
  readonly leaves: readonly string[]
  /** Absolute host folders by the name they have under `$STAGE_FILES`. */
  readonly files: Readonly<Record<string, string>>
  readonly network: boolean
  readonly timeoutSeconds: number
}

/** One image with everything decided: the only configuration that code past `resolve` sees. */
export interface ResolvedImage extends ImageFacts {
  readonly installer: PipelineFields['installer']
  readonly machine: PipelineFields['machine']
  readonly qcow2: PipelineFields['qcow2']
  readonly stages: readonly ResolvedStage[]
  /** File name of an image without `-<target>.<extension>`. */
  readonly fileName: string
}

/** All images of a pipeline, the default first. */
export interface ResolvedPipeline {
  readonly name: string
  readonly images: readonly ResolvedImage[]
}

const debianVersions = { bookworm: 12, trixie: 13 } as const
const debianArchs = { x86_64: 'amd64', aarch64: 'arm64' } as const

/** MiB kept free for the partition table, the boot loader and each logical partition's own record. */
const alignmentMiB = 1

/** A virtual size that is a multiple of this is exact in CHS geometry and in 2 MiB blocks alike. */
export const diskUnitMiB = 126

/**
 * Decides a pipeline.
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
    return mergeOver(value, fields)
  }, written)
  const faults: Fault[] = []
  const parsed = pipelineFields.safeParse(merged)
  if (!parsed.success) faults.push(...issuesToFaults(parsed.error.issues, merged, [], overrides))
  const usedStages = overrideStages(uses, overrides, faults)
  const epoch = resolveEpoch(parsed.data?.date, environment.SOURCE_DATE_EPOCH, faults)
  faults.push(...duplicates(usedStages))

  const images: ResolvedImage[] = []
  if (parsed.success) {
    faults.push(...diskFaults(parsed.data, overrides))
    for (const variant of parsed.data.variants) {
      images.push(resolveImage(parsed.data, variant, usedStages, epoch, overrides, faults))
    }
    faults.push(...nameFaults(images))
    faults.push(...(await checkScripts(images)))
  } else {
    // Settings can be checked without the image; what depends on both waits for the next run.
    for (const use of usedStages) parseSettings(use, overrides, faults)
  }
  if (faults.length > 0) throw configurationError(unique(faults))
  return { name: parsed.data?.name ?? '', images }
}

function resolveImage(
  fields: PipelineFields,
  variant: PipelineFields['variants'][number],
  uses: readonly StageUse[],
  sourceDateEpoch: number,
  overrides: readonly Overrides[],
  faults: Fault[],
): ResolvedImage {
  const { variants: _variants, date: _date, disk, ...shared } = fields
  const facts: ImageFacts = {
    ...shared,
    sourceDateEpoch,
    variant: `${variant.suite}-${variant.arch}`,
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
    installer: fields.installer,
    machine: fields.machine,
    qcow2: fields.qcow2,
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
  const files = Object.entries(spec.files?.(settings, facts) ?? {})
  return {
    name: use.name,
    summary: spec.summary,
    script: resolvePath(folder, `${use.name}.sh`),
    settings,
    environment: spec.environment?.(settings, facts) ?? {},
    packages: spec.packages?.(settings, facts) ?? [],
    leaves: spec.leaves?.(settings, facts) ?? [],
    files: Object.fromEntries(files.map(([name, path]) => [name, resolvePath(folder, path)])),
    network: spec.network ?? false,
    timeoutSeconds: spec.timeoutSeconds ?? 900,
  }
}

function parseSettings(
  use: StageUse,
  overrides: readonly Overrides[],
  faults: Fault[],
): Record<string, never> | undefined {
  const parsed = zod.strictObject(use.spec.settings ?? {}).safeParse(use.settings)
  if (parsed.success) return parsed.data as Record<string, never>
  faults.push(...issuesToFaults(parsed.error.issues, use.settings, ['stages', use.name], overrides))
  return undefined
}

/** Lays `stages: {name: settings}` of overrides over the stages in use. */
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
        faults.push({ path: `stages.${name}`, rule: `is no stage of this pipeline; it has ${known}`, source })
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
    if (/^\d{1,11}$/.test(fromEnvironment)) return Number(fromEnvironment)
    const rule = 'must be whole seconds since 1970'
    faults.push({
      path: 'SOURCE_DATE_EPOCH',
      rule,
      found: formatFound(fromEnvironment),
      source: 'environment',
    })
  }
  return date === undefined ? 0 : Date.parse(`${date}T00:00:00Z`) / 1000
}

function duplicates(uses: readonly StageUse[]): Fault[] {
  const names = uses.map((use) => use.name)
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  return twice.map((name) => ({ path: 'stages', rule: `stage ${name} stands there twice` }))
}

function diskFaults({ disk }: PipelineFields, overrides: readonly Overrides[]): Fault[] {
  const faults: Fault[] = []
  const fault = (path: PropertyKey[], rule: string, found?: unknown) =>
    faults.push({
      path: formatPath(path),
      rule,
      found: formatFound(found),
      source: sourceOf(overrides, path),
    })
  const { sizeMiB, partitions } = disk
  if (sizeMiB % diskUnitMiB !== 0) {
    const below = Math.floor(sizeMiB / diskUnitMiB) * diskUnitMiB
    const near = below === 0 ? `${diskUnitMiB}` : `${below} or ${below + diskUnitMiB}`
    const rule = `must be a multiple of ${diskUnitMiB} MiB, or some hypervisor's format would round it: try ${near}`
    fault(['disk', 'sizeMiB'], rule, sizeMiB)
  }
  partitions.forEach((partition, index) => {
    const at = ['disk', 'partitions', index]
    const isLast = index === partitions.length - 1
    if (partition.grow !== isLast) {
      fault([...at, 'grow'], isLast ? 'the last partition must grow' : 'only the last partition may grow')
    }
    if (partition.grow === (partition.sizeMiB !== undefined)) {
      const rule = partition.grow ? 'must be absent where grow is set' : 'must be given'
      fault([...at, 'sizeMiB'], rule, partition.sizeMiB)
    }
    if ((partition.filesystem === 'swap') !== (partition.mount === undefined)) {
      fault([...at, 'mount'], 'must be given for a filesystem, and only for one', partition.mount)
    }
    if (partition.primary && partitions.slice(0, index).some((before) => !before.primary)) {
      fault([...at, 'primary'], 'primary partitions must come before logical ones')
    }
  })
  const primaries = partitions.filter((partition) => partition.primary).length
  if (primaries > (primaries === partitions.length ? 4 : 3)) {
    fault(
      ['disk', 'partitions'],
      'at most 4 primary partitions, one of them given up for logical ones',
      primaries,
    )
  }
  if (!partitions.some((partition) => partition.mount === '/')) {
    fault(['disk', 'partitions'], 'one partition must be mounted at /')
  }
  const mounts = partitions.flatMap((partition) => partition.mount ?? [])
  for (const mount of new Set(mounts.filter((mount, index) => mounts.indexOf(mount) !== index))) {
    fault(['disk', 'partitions'], `${mount} is mounted twice`)
  }
  const needed = requiredMiB(partitions as readonly Partition[])
  if (sizeMiB < needed) {
    const rule = `too small for its partitions, which need ${needed} MiB with at least ${minimumRootMiB} for the last`
    fault(['disk', 'sizeMiB'], rule, sizeMiB)
  }
  return faults
}

const minimumRootMiB = 256

function requiredMiB(partitions: readonly Partition[]): number {
  const fixed = partitions.reduce((sum, partition) => sum + (partition.sizeMiB ?? minimumRootMiB), 0)
  return fixed + alignmentMiB * (partitions.length + 1)
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

function issuesToFaults(
  issues: readonly z.core.$ZodIssue[],
  input: unknown,
  prefix: readonly PropertyKey[],
  overrides: readonly Overrides[],
): Fault[] {
  return issues.flatMap((issue) => {
    const paths =
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
    return paths.map((path) => {
      const full = [...prefix, ...path]
      return {
        path: formatPath(full),
        rule: issue.code === 'unrecognized_keys' ? 'is not known here' : issue.message,
        found: formatFound(valueAt(input, path)),
        source: sourceOf(overrides, full),
      }
    })
  })
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const part of path)
    value = isRecord(value) || Array.isArray(value) ? Reflect.get(value, part) : undefined
  return value
}

function unique(faults: readonly Fault[]): Fault[] {
  const seen = new Map(faults.map((fault) => [JSON.stringify(fault), fault]))
  return [...seen.values()]
}

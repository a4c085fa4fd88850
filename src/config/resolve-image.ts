/** Resolves one image of a pipeline: a variant, the fields that all variants share, and the stages. */

import { archs } from '../arch.ts'
import type { Disk } from '../disk/layout.ts'
import type { CheckUse } from './check.ts'
import type { Fault, Resolution } from './faults.ts'
import type { ImageFacts } from './image.ts'
import { resolveInstaller } from './installer.ts'
import { mirrorAt } from './mirror.ts'
import type { Overrides } from './overrides.ts'
import { fieldsOf, isOfItsOwn, kernelOf } from './own-fields.ts'
import type { PipelineFields } from './pipeline.ts'
import { resolveChecks } from './resolve-check.ts'
import { resolveStage } from './resolve-stage.ts'
import type { ResolvedImage } from './resolved.ts'
import type { StageUse } from './stage.ts'

const debianVersions = { bookworm: 12, trixie: 13 } as const

/** What a run knows in addition to the pipeline. */
export interface Given {
  readonly sourceDateEpoch: number
  readonly overrides: readonly Overrides[]
  /** For `mirror.snapshot: 'latest'`: the instant for each variant, where it is known. */
  readonly snapshots: ReadonlyMap<string, string>
}

/** The stages and checks that a pipeline uses. */
export interface Uses {
  readonly stages: readonly StageUse[]
  readonly checks: readonly CheckUse[]
}

export function resolveImage(
  fields: PipelineFields,
  variant: PipelineFields['variants'][number],
  { stages: uses, checks: checkUses }: Uses,
  { sourceDateEpoch, overrides, snapshots }: Given,
): Resolution<ResolvedImage> {
  const {
    variants: _variants,
    date: _date,
    store: _store,
    installer: _installer,
    architectures: _architectures,
    leaveOut,
    ...shared
  } = fields
  const { disk, kernelPackage, targets } = fieldsOf(fields, variant)
  const { installer, baseImage } = resolveInstaller(variant.installer ?? fields.installer)
  const name = [
    variant.suite,
    variant.arch,
    ...(isOfItsOwn(variant) ? [variant.label] : []),
    ...(variant.installer === undefined ? [] : [installer]),
  ].join('-')
  const facts: ImageFacts = {
    ...shared,
    mirror: mirrorAt(fields.mirror, snapshots.get(name)),
    sourceDateEpoch,
    variant: name,
    suite: variant.suite,
    debianVersion: debianVersions[variant.suite],
    arch: variant.arch,
    debianArch: archs[variant.arch].debianArch,
    disk: disk as Disk,
    kernelPackage: kernelOf(kernelPackage, variant.arch),
    targets,
  }
  const resolved = uses.map((use) => resolveStage(use, facts, overrides))
  const checks = resolveChecks(checkUses, facts)
  const stages = resolved.flatMap(({ value }) => value ?? [])
  const label = variant.label === undefined ? '' : `-${variant.label}`
  const value = {
    ...facts,
    installer,
    baseImage,
    debianInstaller: fields.debianInstaller,
    leaveOut: [...new Set(Object.values(leaveOut).flat())].sort(),
    machine: fields.machine,
    formats: fields.formats,
    verification: fields.verification,
    waivers: fields.waivers,
    freshness: fields.freshness,
    label: variant.label,
    downloadUrl: fields.downloadUrl,
    repository: fields.repository,
    reproducible: fields.reproducible,
    stages,
    checks: checks.value,
    fileName: `${fields.name}-${fields.release}${label}-${variant.arch}`,
  }
  return { value, faults: [...resolved.flatMap(({ faults }) => faults), ...checks.faults] }
}

/** Faults of images whose files would have the same name. */
export function fileNameFaults(images: readonly ResolvedImage[]): Fault[] {
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

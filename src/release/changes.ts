/** The differences between two releases. */

import type { ReleaseImage, ReleaseRecord, ReleaseVariant } from './record.ts'

export interface PackageMove {
  readonly name: string
  /** Version; absent if the package was not there. */
  readonly before?: string
  readonly after?: string
}

export interface VariantChanges {
  readonly variant: string
  readonly isNew: boolean
  readonly packages: readonly PackageMove[]
  readonly kernel: { readonly before: readonly string[]; readonly after: readonly string[] }
  /** By target, in bytes. */
  readonly sizes: readonly {
    readonly target: string
    readonly before: number | undefined
    readonly after: number
  }[]
  readonly stages: readonly {
    readonly name: string
    /** Seconds; undefined if it was not there. */
    readonly before: number | undefined
    readonly after: number | undefined
  }[]
}

export function compareReleases(before: ReleaseRecord, after: ReleaseRecord): readonly VariantChanges[] {
  return after.variants.map((variant) => {
    const old = before.variants.find((candidate) => candidate.variant === variant.variant)
    return compareVariants(old, variant)
  })
}

function compareVariants(old: ReleaseVariant | undefined, now: ReleaseVariant): VariantChanges {
  const sizeOf = (files: readonly ReleaseImage[] | undefined, target: string) =>
    files?.find((file) => file.target === target)?.sizeBytes
  const secondsOf = (variant: ReleaseVariant | undefined, name: string) =>
    variant?.stages.find((stage) => stage.name === name)?.build_time
  const stages = new Set([...now.stages, ...(old?.stages ?? [])].map(({ name }) => name))
  return {
    variant: now.variant,
    isNew: old === undefined,
    packages: old === undefined ? [] : comparePackages(old.packages, now.packages),
    kernel: { before: old?.kernel ?? [], after: now.kernel },
    sizes: now.files.map(({ target, sizeBytes }) => ({
      target,
      before: sizeOf(old?.files, target),
      after: sizeBytes,
    })),
    stages: [...stages].map((name) => ({ name, before: secondsOf(old, name), after: secondsOf(now, name) })),
  }
}

function comparePackages(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): readonly PackageMove[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return names.flatMap((name) => {
    const [old, now] = [before, after].map((one) => (Object.hasOwn(one, name) ? one[name] : undefined))
    if (old === now) return []
    return [
      { name, ...(old === undefined ? {} : { before: old }), ...(now === undefined ? {} : { after: now }) },
    ]
  })
}

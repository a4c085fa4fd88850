/** The variants of a pipeline as jobs that can run in parallel on separate machines. */

import type { Arch } from '../arch.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { canonicalJson, sha256 } from '../digest.ts'
import { dependenciesOf } from '../export/image-file.ts'
import type { TargetName } from '../targets/registry.ts'

/** One job of a matrix, as GitHub passes it to the steps. */
export interface MatrixJob {
  readonly variant: string
  readonly suite: string
  readonly arch: Arch
  readonly installer: string
  /** Label of the runner. */
  readonly runner: string
  readonly targets: readonly TargetName[]
}

export interface Matrix {
  readonly include: readonly MatrixJob[]
}

/** GitHub's own runners for each architecture. Only those for x86_64 have KVM. */
export const defaultRunners: Readonly<Record<Arch, string>> = {
  x86_64: 'ubuntu-24.04',
  aarch64: 'ubuntu-24.04-arm',
}

export function matrixOf(
  images: readonly ResolvedImage[],
  runners: Readonly<Partial<Record<Arch, string>>> = {},
): Matrix {
  return {
    include: images.map(({ variant, suite, arch, installer, targets }) => ({
      variant,
      suite,
      arch,
      installer,
      runner: runners[arch] ?? defaultRunners[arch],
      targets,
    })),
  }
}

/** Whether a variant's name matches one of these patterns, in which `*` stands for anything. */
export function isChosen(variant: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const literal = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${literal.join('.*')}$`).test(variant)
  })
}

/** For each target, a digest of what its file depends on in addition to the disk. */
export function digestExports(image: ResolvedImage): Readonly<Record<string, string>> {
  const digest = (target: TargetName) =>
    sha256(canonicalJson({ name: image.fileName, settings: dependenciesOf(image, target) }))
  return Object.fromEntries(image.targets.map((target) => [target, digest(target)]))
}

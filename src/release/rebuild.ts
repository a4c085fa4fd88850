/** A release that was built again: which of its files are the same, and a statement about it that others can publish. */

import type { PackageChange } from '../report/report.ts'
import { comparePackages } from '../stages/recorder.ts'
import type { ReleaseRecord, ReleaseVariant } from './record.ts'

/** A file of the release, and the one that was built again. */
export interface RebuiltFile {
  readonly target: string
  /** Name in the release. */
  readonly file: string
  readonly releasedSha256: string
  /** Undefined if there is no such file. */
  readonly rebuiltSha256: string | undefined
}

/** A variant that was built again. */
export interface RebuiltVariant {
  readonly variant: string
  readonly files: readonly RebuiltFile[]
  /** From the released image to the one that was built again. */
  readonly packages: PackageChange
  readonly startedAt: string
  readonly finishedAt: string
  /** Versions of the host's tools. */
  readonly tools: Readonly<Record<string, string>>
}

export const isIdentical = ({ releasedSha256, rebuiltSha256 }: RebuiltFile) =>
  releasedSha256 === rebuiltSha256

/** What is needed of a report. */
export interface Rebuild {
  readonly run: { readonly startedAt: string; readonly finishedAt: string }
  readonly host: { readonly tools: Readonly<Record<string, string>> }
  readonly images: readonly { readonly target: string; readonly sha256: string }[]
  readonly packages: readonly { readonly name: string; readonly version: string }[]
}

/** Compares a variant of a release with a build of the same. */
export function compareRebuild(
  released: ReleaseVariant,
  { run, host, images, packages }: Rebuild,
): RebuiltVariant {
  return {
    variant: released.variant,
    files: released.files.map(({ target, file, sha256 }) => ({
      target,
      file,
      releasedSha256: sha256,
      rebuiltSha256: images.find((image) => image.target === target)?.sha256,
    })),
    packages: comparePackages(
      new Map(Object.entries(released.packages)),
      new Map(packages.map(({ name, version }) => [name, version])),
    ),
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
    tools: host.tools,
  }
}

/** An in-toto statement about the files of a release: whether building them again made the same bytes. */
export function renderRebuild(
  record: ReleaseRecord,
  variants: readonly RebuiltVariant[],
  program: string,
): string {
  const files = variants.flatMap((variant) => variant.files)
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: files.map(({ file, releasedSha256 }) => ({ name: file, digest: { sha256: releasedSha256 } })),
    predicateType: 'urn:systemvm-image:rebuild:1',
    predicate: {
      release: {
        name: record.name,
        release: record.release,
        tag: record.tag,
        commit: record.source?.commit ?? null,
      },
      isIdentical: files.every(isIdentical),
      rebuilt: files.map(({ file, rebuiltSha256 }) => ({
        name: file,
        digest: rebuiltSha256 === undefined ? null : { sha256: rebuiltSha256 },
      })),
      builds: variants.map(({ variant, startedAt, finishedAt, tools, packages }) => ({
        variant,
        startedOn: startedAt,
        finishedOn: finishedAt,
        tools: { 'systemvm-image': program, ...tools },
        packages,
      })),
    },
  }
  return `${JSON.stringify(statement, null, 2)}\n`
}

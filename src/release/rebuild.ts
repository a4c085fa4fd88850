/** A rebuilt release: which of its files are the same, and a statement about it that others can publish. */

import { z } from 'zod'
import { comparePackages } from '../debian/compare-packages.ts'
import { digestSchema, type PackageChange, packageChangeSchema } from '../report/report.ts'
import { lineOf, parseJson } from '../text.ts'
import type { ReleaseRecord, ReleaseVariant } from './record.ts'

/** A file of the release, and its rebuilt counterpart. */
export interface RebuiltFile {
  readonly target: string
  /** Name in the release. */
  readonly file: string
  readonly releasedSha256: string
  /** Undefined if there is no such file. */
  readonly rebuiltSha256: string | undefined
}

/** A variant that was rebuilt. */
export interface RebuiltVariant {
  readonly variant: string
  readonly files: readonly RebuiltFile[]
  /** Changes from the released image to the rebuilt one. */
  readonly packages: PackageChange
  readonly startedAt: string
  readonly finishedAt: string
  /** Versions of the host's tools. */
  readonly tools: Readonly<Record<string, string>>
}

export const isIdentical = ({ releasedSha256, rebuiltSha256 }: RebuiltFile) =>
  releasedSha256 === rebuiltSha256

/** The part of a report that is needed. */
export interface Rebuild {
  readonly run: { readonly startedAt: string; readonly finishedAt: string }
  readonly host: { readonly tools: Readonly<Record<string, string>> }
  readonly images: readonly { readonly target: string; readonly sha256: string }[]
  readonly packages: readonly { readonly name: string; readonly version: string }[]
}

/** Compares a variant of a release with a rebuild of it. */
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

/** Suffix of statement file names. */
export const rebuildEnding = '.intoto.json'

/** Namespace for SSH signatures of statements. */
export const rebuildNamespace = 'systemvm-image-rebuild'

const named = { name: lineOf(255) }
const digest = z.strictObject({ sha256: digestSchema })

const rebuildSchema = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z
    .array(z.strictObject({ ...named, digest }))
    .min(1)
    .max(1000),
  predicateType: z.literal('urn:systemvm-image:rebuild:1'),
  predicate: z.strictObject({
    release: z.strictObject({
      ...named,
      release: lineOf(100),
      tag: lineOf(100).nullable(),
      commit: lineOf(100).nullable(),
    }),
    isIdentical: z.boolean(),
    rebuilt: z.array(z.strictObject({ ...named, digest: digest.nullable() })).max(1000),
    builds: z
      .array(
        z.strictObject({
          variant: lineOf(100),
          startedOn: z.iso.datetime(),
          finishedOn: z.iso.datetime(),
          tools: z.record(lineOf(64), lineOf(200)),
          packages: packageChangeSchema,
        }),
      )
      .max(100),
  }),
})

/** A statement that a release was rebuilt. */
export type RebuildStatement = Readonly<z.output<typeof rebuildSchema>>

/** The statement in a JSON text; undefined if it is not one. */
export function parseRebuild(text: string): RebuildStatement | undefined {
  return rebuildSchema.safeParse(parseJson(text)).data
}

/** An in-toto statement about the files of a release: whether rebuilding them gave the same bytes. */
export function renderRebuild(
  record: ReleaseRecord,
  variants: readonly RebuiltVariant[],
  program: string,
): string {
  const files = variants.flatMap((variant) => variant.files)
  const statement: RebuildStatement = {
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

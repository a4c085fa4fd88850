/** The in-toto statement of a release: its files, and a SLSA provenance of how they were built. */

import { z } from 'zod'
import type { Inputs } from '../provenance/inputs.ts'
import type { ReleaseRecord } from './record.ts'
import { purlOf } from './sbom.ts'

const digestSet = z.record(z.string(), z.string())

const dependency = z.strictObject({
  name: z.string().optional(),
  uri: z.string().optional(),
  digest: digestSet.optional(),
  annotations: z.record(z.string(), z.unknown()).optional(),
})

/** The kind of statement written here. */
export const statementSchema = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(z.strictObject({ name: z.string(), digest: digestSet })).min(1),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: z.strictObject({
    buildDefinition: z.strictObject({
      buildType: z.string(),
      externalParameters: z.record(z.string(), z.unknown()),
      internalParameters: z.record(z.string(), z.unknown()),
      resolvedDependencies: z.array(dependency),
    }),
    runDetails: z.strictObject({
      builder: z.strictObject({ id: z.string(), version: z.record(z.string(), z.string()) }),
      metadata: z.strictObject({ invocationId: z.string(), startedOn: z.string(), finishedOn: z.string() }),
    }),
  }),
})

export type Statement = Readonly<z.output<typeof statementSchema>>
export type Dependency = z.output<typeof dependency>

/**
 * The builder of every statement here. A build cannot say anything about itself that another program could not also say: only
 * a signature, or GitHub's attestation from outside the build, shows who built it.
 */
const builderId = 'urn:systemvm-image:builder:unauthenticated'

/** What the environment of `release` says about its CI run. Anyone can set it, so it is only a claim. */
export interface ClaimedRun {
  readonly workflow: string
  readonly run: string
}

/** The GitHub workflow that this seems to run in; undefined elsewhere. Reads no secrets. */
export function describeRun(
  environment: Readonly<Record<string, string | undefined>>,
): ClaimedRun | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = environment
  const { GITHUB_WORKFLOW_REF: workflow, GITHUB_RUN_ID: run, GITHUB_RUN_ATTEMPT: attempt } = environment
  if (!server || !repository || !workflow || !run) return undefined
  return {
    workflow: `${server}/${workflow}`,
    run: `${server}/${repository}/actions/runs/${run}/attempts/${attempt ?? '1'}`,
  }
}

export interface StatementRequest {
  readonly record: ReleaseRecord
  /** Every file of the release except the checksum lists and the statement. */
  readonly subjects: readonly { readonly name: string; readonly sha256: string; readonly sha512: string }[]
  /** By variant, if known. */
  readonly inputs: ReadonlyMap<string, Inputs>
  readonly claimed: ClaimedRun | undefined
  /** Version of this program. */
  readonly program: string
}

export function renderStatement({ record, subjects, inputs, claimed, program }: StatementRequest): string {
  const runs = record.variants.map(({ run }) => run)
  const tools: Record<string, string> = Object.assign(
    {},
    ...[...inputs.values()].flatMap(({ layers }) => layers.map((layer) => layer.tools)),
  )
  const statement: Statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjects.map(({ name, sha256, sha512 }) => ({ name, digest: { sha256, sha512 } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:systemvm-image:build:1',
        externalParameters: {
          name: record.name,
          release: record.release,
          tag: record.tag,
          variants: record.variants.map(({ variant, installer, snapshot, lock, files }) => ({
            variant,
            installer,
            snapshot,
            lock,
            targets: files.map(({ target }) => target),
          })),
        },
        internalParameters: {
          exceptions: record.exceptions,
          runs: runs.map(({ id }) => id),
          ...(claimed === undefined ? {} : { claimed }),
        },
        resolvedDependencies: dependenciesOf(record, inputs),
      },
      runDetails: {
        builder: { id: builderId, version: { 'systemvm-image': program, ...tools } },
        metadata: {
          invocationId: runs.map(({ id }) => id).join(' '),
          startedOn: runs.map(({ startedAt }) => startedAt).sort()[0] ?? '',
          finishedOn:
            runs
              .map(({ finishedAt }) => finishedAt)
              .sort()
              .at(-1) ?? '',
        },
      },
    },
  }
  return `${JSON.stringify(statement, null, 1)}\n`
}

// --- internal ---

function dependenciesOf(record: ReleaseRecord, inputs: ReadonlyMap<string, Inputs>): Dependency[] {
  const all = [...inputs.values()].flatMap((one) => {
    const suite = record.variants.find(({ variant }) => variant === one.variant)?.suite ?? ''
    return [
      ...archivesIn(one),
      ...packagesIn(one, suite),
      ...pulledLayersIn(one),
      ...scriptsIn(one),
      ...templatesIn(one),
      ...toolsIn(one),
    ]
  })
  const { source } = record
  const checkout: Dependency[] =
    source === null
      ? []
      : [
          {
            name: 'source',
            ...(source.repository === undefined ? {} : { uri: `git+${source.repository}` }),
            digest: { gitCommit: source.commit },
            ...(source.changed.length === 0 ? {} : { annotations: { changed: source.changed } }),
          },
        ]
  // Variants share most dependencies.
  return [...new Map([...checkout, ...all].map((one) => [JSON.stringify(one), one])).values()]
}

function archivesIn({ archives }: Inputs): readonly Dependency[] {
  return archives.map(({ suite, url, sha256, date, signers, codename }) => ({
    name: `archive ${suite}`,
    uri: `${url}/dists/${suite}/InRelease`,
    digest: { sha256 },
    annotations: { codename, date, signers },
  }))
}

function packagesIn({ packages }: Inputs, suite: string): readonly Dependency[] {
  return packages.map((one) => ({
    name: `package ${one.name}`,
    uri: purlOf(one, suite),
    ...(one.sha256 === null ? {} : { digest: { sha256: one.sha256 } }),
    ...(one.file === null ? {} : { annotations: { file: one.file } }),
  }))
}

/** Layers from another machine: nothing here says how they were made. */
function pulledLayersIn({ layers }: Inputs): readonly Dependency[] {
  return layers.flatMap(({ name, key, sha256, origin }) =>
    origin === undefined
      ? []
      : [
          {
            name: `layer ${name}`,
            uri: `oci://${origin.registry}:${key}`,
            digest: { sha256 },
            annotations: { pulledAt: origin.pulledAt, signedBy: origin.signedBy ?? null },
          },
        ],
  )
}

function scriptsIn({ layers }: Inputs): readonly Dependency[] {
  return layers.flatMap(({ name, script, scripts, files, installerFiles }) => [
    ...(script === null ? [] : [{ name: `script ${name}`, digest: { sha256: script } }]),
    ...scripts.map((sha256) => ({ name: `script of ${name}`, digest: { sha256 } })),
    ...Object.entries(installerFiles).map(([file, sha256]) => ({
      name: `${file} of the installer`,
      digest: { sha256 },
    })),
    ...Object.entries(files).map(([folder, sha256]) => ({
      name: `files ${name}/${folder}`,
      digest: { sha256 },
      annotations: { of: 'the sorted list of paths, modes and digests, as JSON' },
    })),
  ])
}

function templatesIn({ templates }: Inputs): readonly Dependency[] {
  return Object.entries(templates).map(([path, text]) => ({
    name: `template ${path}`,
    digest: { sha256: text.split(' ')[1] ?? '' },
  }))
}

function toolsIn({ layers }: Inputs): readonly Dependency[] {
  const versions = layers.flatMap(({ tools }) => Object.entries(tools))
  return versions.map(([name, version]) => ({ name: `tool ${name}`, uri: `pkg:generic/${name}@${version}` }))
}

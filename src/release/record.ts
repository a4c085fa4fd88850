/** `release.json`: a release described for programs, and for comparing the next release with it. */

import { stat } from 'node:fs/promises'
import { join, resolve as resolvePath } from 'node:path'
import { z } from 'zod'
import { exitCodes, PipelineError } from '../errors.ts'
import { reasonOf } from '../host/failures.ts'
import { readRegular } from '../host/regular-file.ts'
import { updateSchema } from '../report/freshness.ts'
import { inOneLine, lineOf, parseJson, pathBelow } from '../text.ts'
import { openReads } from './reads.ts'

/** Faults that the images of a release may have if `--allow` permits them. */
export const exceptionKinds = [
  'unverified',
  'dirty',
  'partial',
  'mixed',
  'unrecorded',
  'outdated',
  'unchecked',
  'vulnerable',
] as const

export type ExceptionKind = (typeof exceptionKinds)[number]

/** Names of the files in every release. */
export const releaseFiles = {
  record: 'release.json',
  statement: 'provenance.intoto.json',
  notes: 'RELEASE_NOTES.md',
  page: 'report.html',
  metadata: 'metadata.ini',
  checksums: { md5: 'md5sum.txt', sha256: 'sha256sum.txt', sha512: 'sha512sum.txt' },
  /** The file that signatures cover: it has the checksum of every other file except those of the lists. */
  signed: 'sha512sum.txt',
  /** Made last, and only on request. */
  signatures: { ssh: 'sha512sum.txt.sig', openpgp: 'sha512sum.txt.asc' },
  /** Made by GitHub, and added by a workflow. */
  attestation: 'attestation.sigstore.json',
} as const

/** Folder in a release for its package set, if there is one. */
export const packagesFolder = 'packages'

/** Whether a file name in a release, relative to its folder, belongs to its package set. */
export function isOfPackages(name: string): boolean {
  return /^packages\/[A-Za-z0-9][\w.+~%-]*$/.test(name)
}

/** Files that are not in any checksum list: the lists themselves, and everything made after them. */
export const unlistedFiles: readonly string[] = [
  ...Object.values(releaseFiles.checksums),
  ...Object.values(releaseFiles.signatures),
  releaseFiles.attestation,
]

/** Texts that people read in a sentence: with a space in it, or a lookalike, a name could pass for the rest of a verdict. */
const name = lineOf(200).regex(/^[!-~]+$/)
const line = lineOf(2000)
/** Written by a person, in any number of lines. */
const reason = z.string().max(10_000)

const exception = z.strictObject({
  kind: z.enum(exceptionKinds),
  text: z.string().max(10_000).describe('what is wrong, with the variant or file'),
})

const verification = z.strictObject({
  status: z.enum(['passed', 'failed']),
  accelerator: name,
  scenes: z.int().describe('boots'),
  passed: z.int(),
  waived: z.int(),
  skipped: z.int(),
  failed: z.int(),
})

/** For a file in the folder itself. */
const fileName = pathBelow.regex(/^[^/]+$/)

const file = z.strictObject({
  target: name,
  format: name,
  file: fileName,
  sizeBytes: z.int(),
  virtualSizeBytes: z.int(),
  md5: name,
  sha256: name,
  sha512: name,
  madeFrom: name.describe('key of the layer'),
  verification: verification.nullable().describe('null if these bytes were not verified'),
})

/** As in a report. */
const mostPackages = 20_000

const variant = z.strictObject({
  variant: name,
  suite: name,
  arch: name,
  installer: name,
  sbom: fileName.describe('name of the CycloneDX file'),
  spdx: fileName.optional().describe('name of the SPDX file'),
  kernel: z.array(line).max(100).describe('name and version of each kernel package'),
  run: z.strictObject({
    id: name,
    startedAt: name,
    finishedAt: name,
    durationSeconds: z.number(),
    accelerator: name.nullable(),
  }),
  snapshot: name.nullable(),
  lock: name.nullable().describe('sha256 of the lock file that the build was checked against'),
  files: z.array(file).max(100),
  packages: z
    .record(name, name)
    .refine((packages) => Object.keys(packages).length <= mostPackages)
    .describe('versions by name, from dpkg in the image'),
  freshness: z
    .strictObject({
      archives: z.array(z.strictObject({ suite: name, url: line, date: z.iso.datetime() })),
      updates: z.array(updateSchema).describe('packages that these archives have in a newer version'),
      waived: z
        .array(z.strictObject({ accepts: line, reason, until: z.iso.date() }))
        .describe('waivers without which it would have been refused'),
    })
    .nullable()
    .optional()
    .describe('compared with the archives when it was released; null if they could not be asked'),
  scan: z
    .strictObject({
      scanner: line,
      version: line.nullable(),
      database: line.nullable().describe('when its list of vulnerabilities was made'),
      report: fileName.describe('name of the file'),
      vex: fileName.nullable().describe('name of the OpenVEX file; null if nothing is accepted'),
      vulnerabilities: z.int(),
      fixable: z.int().describe('those that a newer package does not have'),
      accepted: z.array(z.strictObject({ vulnerability: line, reason, until: z.iso.date() })),
    })
    .nullable()
    .optional()
    .describe('null if that host had no scanner; absent if no scan was asked for'),
  stages: z
    .array(z.strictObject({ name, build_time: z.number(), layerBytes: z.int(), status: name }))
    .max(1000),
})

const recordSchema = z.strictObject({
  version: z.literal(1),
  name,
  release: name,
  tag: name.nullable(),
  exceptions: z.array(exception).max(1000).describe('why this is not an ordinary release; empty if it is'),
  source: z
    .strictObject({
      commit: z.string(),
      changed: z.array(z.string().max(10_000)),
      repository: z
        .string()
        .regex(/^\P{Cc}*$/u)
        .optional(),
    })
    .nullable(),
  packageSet: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe('sha256 of packages/packages.json, the list of the package set; absent without one'),
  variants: z.array(variant).max(100).refine(haveOwnFiles),
})

/** A record of two variants has 60 kB. */
const mostRecordBytes = 8 * 1024 ** 2

/** Reports what is wrong with a file of a release. */
export type Blame = (file: string, fault: string) => void

export type ReleaseRecord = Readonly<z.output<typeof recordSchema>>
export type ReleaseVariant = Readonly<z.output<typeof variant>>
export type ReleaseImage = Readonly<z.output<typeof file>>
export type ReleaseException = Readonly<z.output<typeof exception>>

type NamesFiles = Pick<ReleaseVariant, 'sbom' | 'spdx' | 'scan' | 'files'>

/** Names of the files that belong to one variant. */
export function filesOf({ sbom, spdx, scan, files }: NamesFiles): readonly string[] {
  const documents = [sbom, spdx, scan?.report, scan?.vex].filter((name) => typeof name === 'string')
  return [...documents, ...files.map(({ file }) => file)]
}

/** The names of the files that a release with this record may have, not counting its package set. */
export function fileNamesOf({ variants }: ReleaseRecord): ReadonlySet<string> {
  return new Set([...variants.flatMap(filesOf), ...textsIn(releaseFiles)])
}

/** The record of a release in a JSON value; undefined if it is not one that this program knows. */
export function parseReleaseRecord(value: unknown): ReleaseRecord | undefined {
  return recordSchema.safeParse(value).data
}

/**
 * The text of a record.
 * @throws PipelineError `release-refused` if it could not be read again: names and versions from an image or an archive can have
 * any length
 */
export function renderReleaseRecord(record: ReleaseRecord): string {
  const text = `${JSON.stringify(record, null, 1)}\n`
  const [issue] = recordSchema.safeParse(JSON.parse(text)).error?.issues ?? []
  const bytes = Buffer.byteLength(text)
  if (issue === undefined && bytes <= mostRecordBytes) return text
  const why =
    issue === undefined
      ? `it would have ${bytes} bytes, where at most ${mostRecordBytes} are read`
      : `${inOneLine(issue.path.join('.')).slice(0, 200)}: ${issue.message}`
  throw new PipelineError({
    code: 'release-refused',
    message: `nobody could read the record of this release, ${releaseFiles.record}: ${why}`,
    hint: 'find out why an image or an archive has such a name or version; the previous release is as it was.',
    exitCode: exitCodes.verificationFailed,
  })
}

/** The record in the folder of a release; undefined if there is none that can be read. */
export async function findReleaseRecord(
  folder: string,
  { read } = openReads(folder),
): Promise<ReleaseRecord | undefined> {
  return read(releaseFiles.record, mostRecordBytes).then(parseBytes, () => undefined)
}

/**
 * @param path folder of a release, or path of its record
 * @throws PipelineError `no-release`
 */
export async function readReleaseRecord(path: string): Promise<ReleaseRecord> {
  const absolute = resolvePath(path)
  const isFolder = (await stat(absolute).catch(() => undefined))?.isDirectory() ?? false
  const file = isFolder ? join(absolute, releaseFiles.record) : absolute
  const record = await parseFile(file).catch((cause: unknown) => {
    throw noRelease(file, reasonOf(cause), cause)
  })
  if (record === undefined) throw noRelease(file, 'it has another format')
  return record
}

// --- internal ---

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

function haveOwnFiles(variants: readonly NamesFiles[]): boolean {
  const names = variants.flatMap(filesOf)
  return new Set(names).size === names.length
}

function parseBytes(bytes: Buffer): ReleaseRecord | undefined {
  return parseReleaseRecord(parseJson(bytes.toString()))
}

async function parseFile(file: string): Promise<ReleaseRecord | undefined> {
  if (!(await stat(file)).isFile()) throw new Error('it is not a file')
  return parseBytes(await readRegular(file, mostRecordBytes))
}

function noRelease(file: string, why: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: 'no-release',
    message: `cannot read the record of a release ${file}: ${why}`,
    hint: `give the folder of a release, or its ${releaseFiles.record}.`,
    exitCode: exitCodes.badInput,
    cause,
  })
}

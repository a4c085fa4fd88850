/**
 * A package set: a folder with every .deb of some images and the signed lists of the archives that they come from. Images are
 * built from it without a mirror.
 */

import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { sha256 } from '../digest.ts'
import type { ErrorCode } from '../error-codes.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { reasonOf } from '../host/failures.ts'
import { gunzip } from '../host/gunzip.ts'
import { sha256File } from '../host/hash-file.ts'
import { readRegular, readRegularText } from '../host/regular-file.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { lineOf, parseJson } from '../text.ts'
import { mostIndexBytes } from './packages-index.ts'
import type { ArchiveSource } from './release.ts'

/** Name of the list of everything in a set. */
export const setFile = 'packages.json'

const digest = z.string().regex(/^[0-9a-f]{64}$/)
const word = lineOf(255).min(1)

const setPackage = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.+-]*$/),
  version: z.string().regex(/^[A-Za-z0-9.+:~-]+$/),
  architecture: z.string().regex(/^[a-z0-9-]+$/),
  sha256: digest,
  /** The archive format has ten digits for it. */
  sizeBytes: z.int().min(1).max(9_999_999_999),
  /** URL at Debian when the set was made. */
  url: lineOf(2000),
})

const setArchive = z.strictObject({
  suite: word,
  url: lineOf(2000),
  architecture: word,
  /** Checksum of its `InRelease`. */
  sha256: digest,
  /** Checksums of its unpacked indexes. */
  indexes: z.array(digest).max(20),
})

const setSchema = z.strictObject({
  version: z.literal(1),
  archives: z.array(setArchive).min(1).max(50),
  packages: z.array(setPackage).min(1).max(20_000),
})

export type SetContent = Readonly<z.output<typeof setSchema>>
export type SetPackage = Readonly<z.output<typeof setPackage>>
export type SetArchive = Readonly<z.output<typeof setArchive>>

/** A set in which every file matches its list. */
export interface PackageSet {
  readonly folder: string
  /** Checksum of the list. */
  readonly sha256: string
  readonly content: SetContent
  /** The files that its archives have signed. */
  readonly source: ArchiveSource
}

/** The file name of a package in a set, which is the name that apt stores it under. */
export function debOf({
  name,
  version,
  architecture,
}: Omit<SetPackage, 'sha256' | 'sizeBytes' | 'url'>): string {
  return `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`
}

export const releaseFileOf = (sha256: string) => `${sha256}.InRelease`
export const indexFileOf = (sha256: string) => `${sha256}.Packages.gz`

/** The list of a set; the same packages always give the same text. */
export function renderSet({ archives, packages }: Omit<SetContent, 'version'>): string {
  const byName = <Item>(list: readonly Item[], key: (item: Item) => string) =>
    [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1))
  const content: SetContent = {
    version: 1,
    archives: byName(archives, ({ suite, architecture, url }) => `${suite} ${architecture} ${url}`),
    packages: byName(packages, debOf),
  }
  return `${JSON.stringify(setSchema.parse(content), null, 1)}\n`
}

/** `openssl 3.5.1-1 (amd64), sha256 …, from http://…` */
export function describeSetPackage({ name, version, architecture, sha256, url }: SetPackage): string {
  return `${name} ${version} (${architecture}), sha256 ${sha256}, from ${url}`
}

/**
 * Reads a set and verifies every file in it.
 * @throws PipelineError `packages-unreadable`, `packages-missing`, `packages-damaged`
 */
export async function openPackageSet(folder: string, signal: AbortSignal): Promise<PackageSet> {
  const { content, text } = await readSet(folder)
  const names = new Set(await namesIn(folder))
  const lists = new Set(
    content.archives.flatMap((one) => [releaseFileOf(one.sha256), ...one.indexes.map(indexFileOf)]),
  )
  const debs = new Map(content.packages.map((one) => [debOf(one), one]))
  if (debs.size < content.packages.length) throw unreadable(folder, `${setFile} lists a package twice`)
  const foreign = [...names].find((name) => name !== setFile && !lists.has(name) && !debs.has(name))
  if (foreign !== undefined) throw unreadable(folder, `${JSON.stringify(foreign)} is not in its list`)
  const lost = [...lists].find((name) => !names.has(name))
  if (lost !== undefined) throw unreadable(folder, `it has no ${lost}`)
  requireAll(
    folder,
    [...debs].flatMap(([name, one]) => (names.has(name) ? [] : [one])),
  )
  await someAtATime([...debs], async ([name, { sizeBytes, sha256: expected }]) => {
    const file = join(folder, name)
    // A sparse file can have any size, and take hours to read.
    const { size } = await lstat(file)
    if (size !== sizeBytes) throw damaged(file, `it has ${size} bytes, expected ${sizeBytes}`)
    const found = await sha256File(file, signal)
    if (found !== expected) throw damaged(file, `sha256 ${found}, expected ${expected}`)
  })
  return { folder, sha256: sha256(text), content, source: sourceIn(folder, content) }
}

/** Sizes of the packages in a set by file name, according to its list; empty for a folder without a valid list. */
export async function readSetSizes(folder: string): Promise<ReadonlyMap<string, number>> {
  const { content } = await readSet(folder).catch(() => ({ content: undefined }))
  return new Map(content?.packages.map((one) => [debOf(one), one.sizeBytes]))
}

/** @throws PipelineError `packages-missing` if any packages are missing */
export function requireAll(folder: string, missing: readonly SetPackage[]): void {
  const lack = lackOf(folder, missing)
  if (lack !== undefined) throw lack
}

/** The error for a set that lacks packages; undefined if none are missing. */
export function lackOf(folder: string, missing: readonly SetPackage[]): PipelineError | undefined {
  if (missing.length === 0) return undefined
  return new PipelineError({
    code: 'packages-missing',
    message: [
      `the package set ${folder} lacks ${missing.length} of its packages:`,
      ...missing.map((one) => `  ${describeSetPackage(one)}`),
    ].join('\n'),
    hint: 'put these files there, or build without --packages.',
    exitCode: exitCodes.badInput,
    details: { missing: missing.map(debOf) },
  })
}

/** The error for a set that cannot be used for this image. */
export function unfitSet(folder: string, why: string): PipelineError {
  const hint = 'use the set of a release of this variant, or build without --packages.'
  return refusal('packages-unfit', `the package set ${folder} does not fit: ${why}`, hint)
}

// --- internal ---

/** A list of a thousand packages has 300 kB. */
const mostListBytes = 8 * 1024 ** 2
const mostReleaseBytes = 2 * 1024 ** 2

async function readSet(folder: string): Promise<{ readonly content: SetContent; readonly text: string }> {
  const text = await readRegularText(join(folder, setFile), mostListBytes).catch((cause: unknown) => {
    throw unreadable(folder, `${setFile} cannot be read: ${reasonOf(cause)}`)
  })
  const parsed = setSchema.safeParse(parseJson(text))
  if (parsed.data === undefined) throw unreadable(folder, `${setFile} is not the list of a package set`)
  return { content: parsed.data, text }
}

/** @throws PipelineError if it contains anything but files: a link may point outside the set */
async function namesIn(folder: string): Promise<readonly string[]> {
  if ((await lstat(folder)).isSymbolicLink()) throw unreadable(folder, 'it is a link')
  const entries = await readdir(folder, { withFileTypes: true })
  const other = entries.find((entry) => !entry.isFile())
  if (other !== undefined) throw unreadable(folder, `${JSON.stringify(other.name)} is not a file`)
  return entries.map(({ name }) => name)
}

function sourceIn(folder: string, { archives }: SetContent): ArchiveSource {
  return {
    release: async ({ suite, url, arch }) => {
      const archive = archives.find(
        (one) => one.suite === suite && one.url === url && one.architecture === arch,
      )
      const has = archives.map((one) => `${one.suite} (${one.architecture}) of ${one.url}`)
      if (archive === undefined)
        throw unfitSet(folder, `it has no ${suite} (${arch}) of ${url}; it has ${has.join(', ')}`)
      const file = join(folder, releaseFileOf(archive.sha256))
      const bytes = await readRegular(file, mostReleaseBytes)
      if (sha256(bytes) !== archive.sha256)
        throw damaged(file, `sha256 ${sha256(bytes)}, expected ${archive.sha256}`)
      return bytes
    },
    index: async (expected) => {
      if (!archives.some(({ indexes }) => indexes.includes(expected))) return undefined
      const file = join(folder, indexFileOf(expected))
      const bytes = await gunzip(await readRegular(file, mostIndexBytes), mostIndexBytes, file)
      if (sha256(bytes) !== expected) throw damaged(file, `sha256 ${sha256(bytes)}, expected ${expected}`)
      return bytes
    },
  }
}

function unreadable(folder: string, why: string): PipelineError {
  const hint = 'give the folder packages of a release made with --with-packages, with nothing else in it.'
  return refusal('packages-unreadable', `${folder} is not a package set: ${why}`, hint)
}

function damaged(file: string, why: string): PipelineError {
  const hint = 'the file was changed or damaged: copy the set again.'
  const message = `${file} is not the file that its package set lists: ${why}`
  return refusal('packages-damaged', message, hint)
}

function refusal(code: ErrorCode, message: string, hint: string): PipelineError {
  return new PipelineError({ code, message, hint, exitCode: exitCodes.badInput })
}

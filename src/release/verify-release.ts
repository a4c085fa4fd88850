/** Checks the folder of a release against its own records. Needs no network. */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { algorithms, type Checksums, computeChecksums, parseSums } from '../export/checksums.ts'
import { parseSections } from '../export/metadata.ts'
import { registeredSum } from '../export/registration.ts'
import { renderSums } from './checksum-lists.ts'
import { chooseReadable, readImagePackages } from './read-image.ts'
import { type ReleaseRecord, recordSchema, releaseFiles } from './record.ts'
import { faultOfSbom, purlOf, readSbom } from './sbom.ts'
import { type Statement, statementSchema } from './statement.ts'

/** One thing wrong with a release. */
export interface ReleaseFault {
  /** Name of the file. */
  readonly file: string
  readonly fault: string
}

export interface ReleaseVerification {
  readonly files: number
  readonly record: ReleaseRecord | undefined
  readonly faults: readonly ReleaseFault[]
}

/** @throws what reading the folder throws */
export async function verifyRelease(
  folder: string,
  signal: AbortSignal,
  onStep: (text: string) => void,
): Promise<ReleaseVerification> {
  const faults = new Map<string, string>()
  const blame = (file: string, fault: string) => {
    if (!faults.has(file)) faults.set(file, fault)
  }
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries) if (!entry.isFile()) blame(entry.name, 'it is not a file')
  const names = entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort()
  onStep(`checksums of ${names.length} files`)
  const sums = new Map<string, Checksums>()
  await Promise.all(
    names.map(async (name) => sums.set(name, await computeChecksums(join(folder, name), signal))),
  )
  const statement = await readStatement(folder)
  const record = await readRecordOf(folder)
  if (record === undefined) blame(releaseFiles.record, 'it cannot be read')
  compareWithStatement(statement, sums, blame)
  await compareWithLists(folder, statement, sums, blame)
  if (record !== undefined) {
    for (const { files } of record.variants) {
      for (const { file, sha256 } of files) {
        if (sums.get(file)?.sha256 !== sha256)
          blame(file, `it is not the file that ${releaseFiles.record} describes`)
      }
    }
    await compareMetadata(folder, record, blame)
    for (const variant of record.variants) {
      onStep(`packages of ${variant.variant}`)
      await compareSbom(folder, variant, blame, signal)
    }
  }
  return {
    files: names.length,
    record,
    faults: [...faults].map(([file, fault]) => ({ file, fault })),
  }
}

// --- internal ---

type Blame = (file: string, fault: string) => void

async function readStatement(folder: string): Promise<Statement | undefined> {
  try {
    return statementSchema.parse(JSON.parse(await readFile(join(folder, releaseFiles.statement), 'utf8')))
  } catch {
    return undefined
  }
}

async function readRecordOf(folder: string): Promise<ReleaseRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, releaseFiles.record), 'utf8')))
  } catch {
    return undefined
  }
}

const lists: readonly string[] = Object.values(releaseFiles.sums)

/** Requires that every file except the lists and the statement is a subject, and every subject a file. */
function compareWithStatement(
  statement: Statement | undefined,
  sums: ReadonlyMap<string, Checksums>,
  blame: Blame,
): void {
  if (statement === undefined) {
    blame(releaseFiles.statement, sums.has(releaseFiles.statement) ? 'it cannot be read' : 'it is missing')
    return
  }
  const subjects = new Map(statement.subject.map(({ name, digest }) => [name, digest]))
  for (const [name, digest] of subjects) {
    const found = sums.get(name)
    if (found === undefined) blame(name, 'it is missing')
    else if (found.sha256 !== digest.sha256 || found.sha512 !== digest.sha512)
      blame(name, `its checksums are not those of ${releaseFiles.statement}`)
  }
  for (const name of sums.keys()) {
    if (!subjects.has(name) && name !== releaseFiles.statement && !lists.includes(name))
      blame(name, 'it is not part of this release')
  }
}

/**
 * A list has exactly one correct text. If it differs, either a file was changed, and then the statement or the other
 * lists disagree with that file too, or the list itself was changed.
 */
async function compareWithLists(
  folder: string,
  statement: Statement | undefined,
  sums: ReadonlyMap<string, Checksums>,
  blame: Blame,
): Promise<void> {
  const covered = new Map([...sums].filter(([name]) => !lists.includes(name)))
  const texts = await Promise.all(
    algorithms.map((algorithm) =>
      readFile(join(folder, releaseFiles.sums[algorithm]), 'utf8').catch(() => undefined),
    ),
  )
  const isStated = new Set(
    statement?.subject.flatMap(({ name, digest }) =>
      sums.get(name)?.sha256 === digest.sha256 ? [name] : [],
    ),
  )
  const disagreeing = algorithms.map((algorithm, index) => {
    const listed = parseSums(texts[index] ?? '')
    return new Set([...covered.keys()].filter((name) => listed.get(name) !== covered.get(name)?.[algorithm]))
  })
  for (const [index, algorithm] of algorithms.entries()) {
    const text = texts[index]
    const name = releaseFiles.sums[algorithm]
    if (text === undefined) blame(name, 'it is missing')
    if (text === undefined || text === renderSums(covered, algorithm)) continue
    const others = disagreeing.filter((_, other) => other !== index)
    const changed = [...(disagreeing[index] as ReadonlySet<string>)].filter(
      (file) => !isStated.has(file) && others.some((set) => set.has(file)),
    )
    for (const file of changed) blame(file, 'its checksums are not those of the lists')
    if (changed.length === 0 && !hasFault(disagreeing, index))
      blame(name, 'it is not the list of these files')
  }
}

/** Whether the other lists disagree with the same files: then it is not the list that was changed. */
function hasFault(disagreeing: readonly ReadonlySet<string>[], index: number): boolean {
  const own = disagreeing[index] as ReadonlySet<string>
  const others = disagreeing.filter((_, other) => other !== index)
  return own.size > 0 && [...own].every((file) => others.every((set) => set.has(file)))
}

async function compareMetadata(folder: string, record: ReleaseRecord, blame: Blame): Promise<void> {
  const text = await readFile(join(folder, releaseFiles.metadata), 'utf8').catch(() => '')
  const sections = [...parseSections(text).values()]
  for (const sums of record.variants.flatMap(({ files }) => files)) {
    const own = sections.filter((lines) => lines.includes(`filename = ${sums.file}\n`))
    const hasSum = own.every((lines) => lines.includes(`checksum = ${registeredSum(record, sums)}\n`))
    if (own.length === 0 || !hasSum)
      blame(releaseFiles.metadata, `it does not register ${sums.file} with its checksum`)
  }
}

async function compareSbom(
  folder: string,
  { sbom, files, suite, packages }: ReleaseRecord['variants'][number],
  blame: Blame,
  signal: AbortSignal,
): Promise<void> {
  const text = await readFile(join(folder, sbom), 'utf8').catch(() => undefined)
  if (text === undefined) return blame(sbom, 'it is missing')
  const fault = await faultOfSbom(text).catch((error: Error) => error.message)
  if (fault !== undefined) return blame(sbom, `it is not CycloneDX: ${fault.slice(0, 200)}`)
  const readable = chooseReadable(files)
  if (readable === undefined) return
  const installed = await readImagePackages(join(folder, readable.file), signal).catch((error: Error) => {
    blame(readable.file, error.message.split('\n')[0] ?? 'it cannot be read')
    return undefined
  })
  if (installed === undefined) return
  const listed = new Set(readSbom(text).map(({ purl }) => purl))
  const there = new Set(installed.map((one) => purlOf(one, suite)))
  const difference =
    [...there].find((purl) => !listed.has(purl)) ?? [...listed].find((purl) => !there.has(purl))
  if (difference !== undefined)
    blame(sbom, `it does not list what dpkg has in ${readable.file}: ${difference} is in only one of them`)
  const isSame = installed.length === Object.keys(packages).length
  if (!isSame || installed.some(({ name, version }) => packages[name] !== version))
    blame(releaseFiles.record, `it does not list what dpkg has in ${readable.file}`)
}

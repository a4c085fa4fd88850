/** Checks the folder of a release against its own records, and against keys that the reader trusts. Needs no network. */

import { join } from 'node:path'
import { algorithms, type Checksums } from '../export/checksums.ts'
import { readRegularText } from '../host/regular-file.ts'
import { compareAttestation } from './attestation.ts'
import { authenticate, type Trust } from './authenticate.ts'
import { compareWithLists } from './checksum-lists.ts'
import { compareDisks } from './compare-disks.ts'
import { compareMetadata } from './compare-metadata.ts'
import { comparePackageSet } from './compare-packages.ts'
import { compareDependencies, compareSbom } from './compare-sbom.ts'
import { computeReleaseChecksums } from './file-checksums.ts'
import { openReads } from './reads.ts'
import {
  type Blame,
  fileNamesOf,
  findReleaseRecord,
  isOfPackages,
  type ReleaseRecord,
  releaseFiles,
  unlistedFiles,
} from './record.ts'
import { listReleaseFolder } from './release-folder.ts'
import type { SbomPackage } from './sbom.ts'
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
  /**
   * Who signed all of it, with keys that the reader trusts. Empty if that is unknown: the release then only agrees with
   * itself.
   */
  readonly signedBy: readonly string[]
  readonly faults: readonly ReleaseFault[]
}

export interface ReleaseVerifyRequest {
  readonly folder: string
  readonly trust: Trust
  /** Called with each step. */
  readonly onStep: (text: string) => void
  readonly signal: AbortSignal
}

/** @throws PipelineError `trust-unreadable`, `tools`, and what reading the folder throws */
export async function verifyRelease(request: ReleaseVerifyRequest): Promise<ReleaseVerification> {
  const { folder, trust, onStep, signal } = request
  const reads = openReads(folder)
  const record = await findReleaseRecord(folder, reads)
  const authentication = await authenticate(folder, trust, record?.tag, signal, reads)
  const faults = new Map<string, string>()
  const blame = (file: string, fault: string) => {
    if (!faults.has(file)) faults.set(file, fault)
  }
  for (const { file, fault } of authentication.faults) blame(file, fault)
  const { files: names, others } = await listReleaseFolder(folder)
  for (const name of others) blame(name, 'it is not a file')
  onStep(`checksums of ${names.length} files`)
  const checksums = await computeReleaseChecksums(folder, names, record, blame, signal)
  const statement = await readStatement(folder)
  if (record === undefined) blame(releaseFiles.record, 'it cannot be read')
  compareWithStatement(statement, checksums, blame)
  await compareWithLists(statement, checksums, blame, reads)
  await compareAttestation(folder, checksums, blame, reads)
  for (const name of reads.changed(checksums)) blame(name, 'it was changed while it was read')
  if (record !== undefined) {
    compareWithRecord(record, checksums, blame)
    await compareMetadata(folder, record, blame)
    await comparePackageSet(folder, record, checksums, blame, signal)
    const bills = new Map<string, readonly SbomPackage[]>()
    for (const variant of record.variants) {
      onStep(`packages and disks of ${variant.variant}`)
      // The others have been reported already: missing, changed, a link, or a folder. None of them is opened.
      const files = variant.files.filter(({ file }) => checksums.has(file) && !faults.has(file))
      const bill = await compareSbom(folder, { ...variant, files }, blame, signal)
      if (bill !== undefined) bills.set(variant.sbom, bill)
      await compareDisks(folder, files, blame, signal)
    }
    if (statement !== undefined) compareDependencies(bills, record, statement, blame)
  }
  return {
    files: names.length,
    record,
    // A good signature says nothing about files that were changed since.
    signedBy: faults.size === 0 ? authentication.signedBy : [],
    faults: [...faults].map(([file, fault]) => ({ file, fault })),
  }
}

// --- internal ---

async function readStatement(folder: string): Promise<Statement | undefined> {
  try {
    return statementSchema.parse(JSON.parse(await readRegularText(join(folder, releaseFiles.statement))))
  } catch {
    return undefined
  }
}

/** Requires that every image matches the record, and that every file not named there is one that every release has. */
function compareWithRecord(
  record: ReleaseRecord,
  checksums: ReadonlyMap<string, Checksums>,
  blame: Blame,
): void {
  for (const image of record.variants.flatMap(({ files }) => files)) {
    const found = checksums.get(image.file)
    const wrong = algorithms.find((algorithm) => found?.[algorithm] !== image[algorithm])
    if (found?.sha256 !== image.sha256)
      blame(image.file, `it is not the file that ${releaseFiles.record} describes`)
    else if (wrong !== undefined) blame(releaseFiles.record, `its ${wrong} of ${image.file} differs`)
  }
  const own = fileNamesOf(record)
  // Files of the package set are compared with its own list.
  for (const name of checksums.keys())
    if (!own.has(name) && !isOfPackages(name)) blame(name, 'it is not part of this release')
}

/** Requires that every file except the statement and those made after it is a subject, and that every subject is a file. */
function compareWithStatement(
  statement: Statement | undefined,
  checksums: ReadonlyMap<string, Checksums>,
  blame: Blame,
): void {
  if (statement === undefined) {
    blame(
      releaseFiles.statement,
      checksums.has(releaseFiles.statement) ? 'it cannot be read' : 'it is missing',
    )
    return
  }
  const subjects = new Map(statement.subject.map(({ name, digest }) => [name, digest]))
  for (const [name, digest] of subjects) {
    const found = checksums.get(name)
    if (found === undefined) blame(name, 'it is missing')
    else if (found.sha256 !== digest.sha256 || found.sha512 !== digest.sha512)
      blame(name, `its checksums are not those of ${releaseFiles.statement}`)
  }
  for (const name of checksums.keys()) {
    if (!subjects.has(name) && name !== releaseFiles.statement && !unlistedFiles.includes(name))
      blame(name, 'it is not part of this release')
  }
}

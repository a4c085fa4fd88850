/** The files of a release in the order in which they are published: what vouches for the others comes after them. */

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { repositoryFolder } from '../config/release.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { computeChecksums } from '../export/checksums.ts'
import { nowhere } from '../export/metadata.ts'
import { parseChecksums } from '../host/checksum-list.ts'
import { readRegularText } from '../host/regular-file.ts'
import { findOddSizes } from '../release/file-sizes.ts'
import {
  fileNamesOf,
  isOfPackages,
  type ReleaseRecord,
  readReleaseRecord,
  releaseFiles,
  unlistedFiles,
} from '../release/record.ts'
import { listReleaseFolder } from '../release/release-folder.ts'
import { mostTextBytes, type SentFile } from './destination.ts'

export interface ReleaseToPublish {
  readonly record: ReleaseRecord
  /** Whether its `metadata.ini` says where the files are downloaded from. */
  readonly hasAddress: boolean
  /** Its folder in a repository, e.g. `4.22`. */
  readonly series: string
  /** In the order in which they are sent. */
  readonly files: readonly SentFile[]
}

const { checksums, metadata, signatures, attestation } = releaseFiles

/**
 * Files that readers look for first are sent last, in this order, so that a reader who finds one of them also finds all files
 * that it names.
 */
export const lastFiles: readonly string[] = [
  checksums.md5,
  checksums.sha256,
  checksums.sha512,
  metadata,
  signatures.ssh,
  signatures.openpgp,
  attestation,
]

/**
 * Reads every file once, and compares it with the release's list.
 * @throws PipelineError `no-release`, `release-damaged`
 */
export async function readReleaseFiles(
  folder: string,
  onFile: (name: string, sizeBytes: number) => void,
  signal: AbortSignal,
): Promise<ReleaseToPublish> {
  const record = await readReleaseRecord(folder)
  if (!/^\d+\.\d+/.test(record.release))
    throw damaged(folder, `the release in ${releaseFiles.record} is not made of numbers: ${record.release}`)
  const listed = parseChecksums(
    await readRegularText(join(folder, checksums.sha256), mostTextBytes).catch(() => ''),
  )
  const names = await namesOf(folder, record, listed)
  for (const [name, fault] of await findOddSizes(folder, names, record))
    throw damaged(folder, `${name} ${fault}`)
  const files: SentFile[] = []
  for (const name of names) {
    const path = join(folder, name)
    const { size } = await stat(path)
    onFile(name, size)
    const { sha256 } = await computeChecksums(path, signal, ['sha256'])
    if (listed.has(name) && listed.get(name) !== sha256)
      throw damaged(folder, `${name} is not what ${checksums.sha256} lists`)
    files.push({ name, path, sizeBytes: size, sha256 })
  }
  const described = await readRegularText(join(folder, metadata), mostTextBytes)
  return {
    record,
    hasAddress: !described.includes(nowhere),
    series: repositoryFolder(record.release),
    files: inOrder(files),
  }
}

/** Files in the order in which they are published. */
export function inOrder(files: readonly SentFile[]): readonly SentFile[] {
  const rank = ({ name }: SentFile) => lastFiles.indexOf(name)
  return [...files].sort((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1))
}

// --- internal ---

async function namesOf(
  folder: string,
  record: ReleaseRecord,
  listed: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const { files, others } = await listReleaseFolder(folder)
  const missing = [...Object.values(checksums), ...listed.keys()].find((name) => !files.includes(name))
  if (missing !== undefined) throw damaged(folder, `it has no ${missing}`)
  const named = fileNamesOf(record)
  const isOwn = (name: string) =>
    (listed.has(name) && (named.has(name) || isOfPackages(name))) || unlistedFiles.includes(name)
  const foreign = [...others, ...files.filter((name) => !isOwn(name))]
  if (foreign.length > 0) throw damaged(folder, `it also has ${foreign[0]}`)
  return files
}

function damaged(folder: string, why: string): PipelineError {
  return new PipelineError({
    code: 'release-damaged',
    message: `${folder} is not an intact release: ${why}`,
    hint: 'release verify names every file that is wrong. Nothing was published.',
    exitCode: exitCodes.verificationFailed,
  })
}

/** Provides the disk image that layer 0 is made from: a local file, or one that is downloaded once and kept. */

import type { Stats } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileSource } from '../../config/file-source.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { makeFolder } from '../../host/files.ts'
import { hashFile, sha256File } from '../../host/hash-file.ts'
import { downloadResumably } from '../../host/resumable-download.ts'
import { touchOf } from '../../host/touch.ts'
import { formatBytes } from '../../report/format.ts'

export interface ProvideRequest {
  readonly source: FileSource
  /** Folder that keeps downloads. */
  readonly cacheFolder: string
  /** Larger files are neither downloaded nor read. */
  readonly maximumBytes: number
  readonly onProgress: (text: string) => void
  readonly signal: AbortSignal
}

export interface ProvidedImage {
  readonly file: string
  readonly sha256: string
  /** As returned by `digestOfSource`. */
  readonly digest: string
  /** Of the file that has the checksum: another mark means that it may be another file. */
  readonly mark: string
}

/**
 * Identifies a source by its checksum as written, `sha512:…`, or by that of the file. A file without one is read only once
 * while this program runs, unless it changes.
 * @param maximumBytes limit for a file that is read
 * @throws PipelineError `base-image-layout`
 */
export async function digestOfSource(
  { location, checksum }: FileSource,
  maximumBytes: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (checksum !== undefined) return `${checksum.algorithm}:${checksum.hex}`
  const { size, mtimeMs } = await requireSmall(location, maximumBytes)
  const identity = `${location} ${size} ${mtimeMs}`
  const digest = known.get(identity) ?? sha256File(location, signal)
  known.set(identity, digest)
  return `sha256:${await digest}`
}

const known = new Map<string, Promise<string>>()

/**
 * @throws PipelineError `base-image-corrupt`, `base-image-layout`, `download-too-large`, `mirror-unreachable`,
 * `mirror-http-status`
 */
export async function provideImage(request: ProvideRequest): Promise<ProvidedImage> {
  const { source, onProgress, signal } = request
  const file = source.isUrl ? await fetchImage(request) : source.location
  await requireSmall(file, request.maximumBytes)
  onProgress('checking the image against its checksum')
  const { mark } = await touchOf(file)
  const algorithm = source.checksum?.algorithm ?? 'sha256'
  const checksums = await hashFile(file, signal, [...new Set(['sha256', algorithm])])
  const found = checksums[algorithm] ?? ''
  if (source.checksum !== undefined && source.checksum.hex !== found) {
    if (source.isUrl) await rm(file)
    throw corrupt(source, found)
  }
  return { file, sha256: checksums.sha256 ?? '', digest: `${algorithm}:${found}`, mark }
}

async function fetchImage(request: ProvideRequest): Promise<string> {
  const { source, cacheFolder, maximumBytes, onProgress, signal } = request
  const kept = join(cacheFolder, source.checksum?.hex ?? '')
  if ((await stat(kept).catch(() => undefined)) !== undefined) return kept
  onProgress(`downloading ${source.location}`)
  await makeFolder(cacheFolder)
  await downloadResumably(source.location, kept, { maximumBytes, signal })
  return kept
}

/** A sparse file of terabytes would be read for an hour before it turned out not to fit. */
async function requireSmall(location: string, maximumBytes: number): Promise<Stats> {
  const found = await stat(location)
  if (found.size > maximumBytes) throw tooLarge(location, found.size, maximumBytes)
  return found
}

function tooLarge(location: string, sizeBytes: number, maximumBytes: number): PipelineError {
  return new PipelineError({
    code: 'base-image-layout',
    message: `the disk image ${location} does not fit disk in pipeline.ts: the file has ${formatBytes(sizeBytes)}; the limit is ${formatBytes(maximumBytes)}`,
    hint: 'give another image, or a larger disk.sizeMiB.',
    exitCode: exitCodes.badInput,
    details: { location, sizeBytes, maximumBytes },
  })
}

function corrupt({ location, checksum }: FileSource, found: string): PipelineError {
  return new PipelineError({
    code: 'base-image-corrupt',
    message: `the disk image ${location} is not what installer.image says: ${checksum?.algorithm} ${found}; expected ${checksum?.hex}`,
    hint: 'correct the checksum, or give the file that it belongs to.',
    exitCode: exitCodes.badInput,
    details: { location, expected: checksum?.hex, found },
  })
}

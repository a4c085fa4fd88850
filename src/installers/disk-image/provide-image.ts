/** Provides the disk image that layer 0 is made from: a local file, or one that is downloaded once and kept. */

import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileSource } from '../../config/file-source.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { hashFile, sha256File } from '../../host/hash-file.ts'
import { downloadResumably } from '../../host/resumable-download.ts'

export interface ProvideRequest {
  readonly source: FileSource
  /** Folder that keeps downloads. */
  readonly cacheFolder: string
  /** Larger files are not downloaded. */
  readonly maximumBytes: number
  readonly onProgress: (text: string) => void
  readonly signal: AbortSignal
}

export interface ProvidedImage {
  readonly file: string
  readonly sha256: string
  /** As `digestOfSource` returns it. */
  readonly digest: string
}

/**
 * What identifies a source: its checksum as written, `sha512:…`, or that of the file. A file without one is read once in
 * the life of this program, as long as it does not change.
 */
export async function digestOfSource(
  { location, checksum }: FileSource,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (checksum !== undefined) return `${checksum.algorithm}:${checksum.hex}`
  const { size, mtimeMs } = await stat(location)
  const identity = `${location} ${size} ${mtimeMs}`
  const digest = known.get(identity) ?? sha256File(location, signal)
  known.set(identity, digest)
  return `sha256:${await digest}`
}

const known = new Map<string, Promise<string>>()

/** @throws PipelineError `base-image-corrupt`, `download-too-large`, `mirror-unreachable`, `mirror-http-status` */
export async function provideImage(request: ProvideRequest): Promise<ProvidedImage> {
  const { source, onProgress, signal } = request
  const file = source.isUrl ? await fetchImage(request) : source.location
  onProgress('checking the image against its checksum')
  const algorithm = source.checksum?.algorithm ?? 'sha256'
  const checksums = await hashFile(file, signal, [...new Set(['sha256', algorithm])])
  const found = checksums[algorithm] ?? ''
  if (source.checksum !== undefined && source.checksum.hex !== found) {
    if (source.isUrl) await rm(file)
    throw corrupt(source, found)
  }
  return { file, sha256: checksums.sha256 ?? '', digest: `${algorithm}:${found}` }
}

async function fetchImage(request: ProvideRequest): Promise<string> {
  const { source, cacheFolder, maximumBytes, onProgress, signal } = request
  const kept = join(cacheFolder, source.checksum?.hex ?? '')
  if ((await stat(kept).catch(() => undefined)) !== undefined) return kept
  onProgress(`downloading ${source.location}`)
  await mkdir(cacheFolder, { recursive: true })
  await downloadResumably(source.location, kept, { maximumBytes, signal })
  return kept
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

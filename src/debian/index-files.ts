/** Files of package indexes: fetched, cached, verified against a Release file, and unpacked. */

import { dirname, join } from 'node:path'
import { sha256 } from '../digest.ts'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { gunzip } from '../host/gunzip.ts'
import { readRegular } from '../host/regular-file.ts'
import { xzLimit } from '../host/unpacking.ts'
import {
  fetchListed,
  type ReleaseFile,
  type ReleaseRequest,
  type VerifiedRelease,
  type VerifyOptions,
} from './release.ts'
import { nameOfArchive } from './release-memory.ts'

export interface IndexOptions extends Pick<VerifyOptions, 'source'> {
  readonly signal?: AbortSignal | undefined
  /** Folder that caches packed indexes. A cached file is used only if it matches the Release file. */
  readonly cache?: string | undefined
}

/** The faster one first; the security archive has only xz. */
const packings = ['.gz', '.xz'] as const

/**
 * Fetches the verified index of one component; undefined if the archive has none in the supported formats.
 * @throws PipelineError with a code that starts with `mirror-`, or `tools`
 */
export async function fetchIndex(
  { url, suite, arch }: Pick<ReleaseRequest, 'url' | 'suite' | 'arch'>,
  { files }: VerifiedRelease,
  component: string,
  { signal, cache, source }: IndexOptions = {},
): Promise<Buffer | undefined> {
  const index = `${component}/binary-${arch}/Packages`
  if (source !== undefined) return source.index(files.get(index)?.sha256 ?? '')
  const packing = packings.find((ending) => files.has(`${index}${ending}`))
  const listed = files.get(`${index}${packing}`)
  if (packing === undefined || listed === undefined) return undefined
  const from = `${url}/dists/${suite}/${index}${packing}`
  const name = `${nameOfArchive({ url, suite })}.${component}_${arch}${packing}`
  const packed = await fetchOrRead(from, listed, cache && join(cache, name), signal)
  const size = Math.min(files.get(index)?.size ?? maximumBytes, maximumBytes)
  return packing === '.gz' ? gunzip(packed, Math.max(size, 1), from) : unxz(packed, Math.max(size, 1), signal)
}

// --- internal ---

/** Ten times the size of Debian's largest today. */
const maximumBytes = 512 * 1024 ** 2

async function fetchOrRead(
  url: string,
  listed: ReleaseFile,
  kept: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const found = kept === undefined ? undefined : await readRegular(kept).catch(() => undefined)
  if (found?.length === listed.size && sha256(found) === listed.sha256) return found
  const packed = await fetchListed(url, listed, { signal })
  if (kept !== undefined) {
    await makeFolder(dirname(kept))
    await writeDurably(kept, packed)
  }
  return packed
}

async function unxz(packed: Buffer, maxBytes: number, signal: AbortSignal | undefined): Promise<Buffer> {
  try {
    const { stdout } = await execa('xz', ['--decompress', '--stdout', xzLimit], {
      input: packed,
      encoding: 'buffer',
      ...bareEnvironment(),
      maxBuffer: maxBytes,
      stripFinalNewline: false,
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    })
    return Buffer.from(stdout.buffer, stdout.byteOffset, stdout.byteLength)
  } catch (cause) {
    signal?.throwIfAborted()
    throw new PipelineError({
      code: 'tools',
      message: `xz did not unpack an index of packages: ${messageOf(cause).split('\n')[0]}`,
      hint: 'install it with: npm run setup -- --yes',
      exitCode: exitCodes.hostNotFit,
      details: { tools: ['xz'] },
      cause,
    })
  }
}

/** A large file over HTTP, resumed after a broken connection or a killed run. */

import { constants, openSync } from 'node:fs'
import { lstat, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { PipelineError } from '../errors.ts'
import { boundBytes } from './bound-bytes.ts'
import {
  identity,
  notServed,
  request,
  requirePlain,
  type StreamedAnswer,
  tooLarge,
  unreachable,
} from './http.ts'
import { tookLonger, withinLimit } from './within-limit.ts'
import { createWriteStream } from './writing.ts'

export interface DownloadLimits {
  /** Larger files are refused. */
  readonly maximumBytes: number
  readonly signal: AbortSignal
}

/** For all attempts together. */
const timeoutMs = 2 * 3600_000

/** Gives up after this many broken connections in a row without a single byte. */
const mostFruitless = 3

/**
 * Downloads a URL to `file`, which gets its name only once it is complete. Until then it is `<file>.part`, which stays for
 * the next attempt. The caller has to check that it is the right file.
 * @throws PipelineError `mirror-unreachable`, `mirror-http-status`, `download-too-large`, `download-encoded`
 */
export async function downloadResumably(url: string, file: string, limits: DownloadLimits): Promise<void> {
  await withinLimit(
    timeoutMs,
    limits.signal,
    (signal) => downloadInParts(url, file, { ...limits, signal }),
    () => unreachable(url, tookLonger(timeoutMs)),
  )
}

// --- internal ---

async function downloadInParts(
  url: string,
  file: string,
  { maximumBytes, signal }: DownloadLimits,
): Promise<void> {
  const partial = `${file}.part`
  // A link, or anything else that we did not download: nothing is written to its target.
  const found = await lstat(partial).catch(() => undefined)
  if (found?.isFile() === false || (found?.nlink ?? 1) > 1) await rm(partial, { recursive: true })
  for (let fruitless = 0; ; ) {
    const before = await sizeOf(partial)
    const headers: Record<string, string> =
      before === 0 ? identity : { ...identity, range: `bytes=${before}-` }
    const answer = await request(url, { method: 'GET', headers, signal })
    try {
      requirePlain(url, answer)
      const { start, total } = await readExtent(url, answer, before)
      if (start === undefined) {
        // The partial file is not the beginning of the server's file.
        if (total !== before) await rm(partial, { force: true })
      } else {
        if ((total ?? 0) > maximumBytes) throw tooLarge(url, maximumBytes, total)
        const bounded = (chunks: AsyncIterable<Uint8Array>) =>
          boundBytes(chunks, maximumBytes - start, () => tooLarge(url, maximumBytes))
        const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_TRUNC, O_APPEND } = constants
        const flags = O_WRONLY | O_CREAT | O_NOFOLLOW | (start === 0 ? O_TRUNC : O_APPEND)
        // Opened at once: a response that breaks before anything reads it would end the program.
        const fd = openSync(partial, flags)
        await pipeline(answer.body, bounded, createWriteStream(partial, { fd }), { signal })
      }
      if (total === undefined || (await sizeOf(partial)) === total) return await rename(partial, file)
    } catch (cause) {
      signal.throwIfAborted()
      if (cause instanceof PipelineError) throw cause
      // A full disk is not a network failure.
      if ((cause as NodeJS.ErrnoException).code === 'ENOSPC') throw cause
      if (fruitless + 1 === mostFruitless) throw unreachable(url, cause)
    }
    fruitless = (await sizeOf(partial)) > before ? 0 : fruitless + 1
    if (fruitless === mostFruitless) throw unreachable(url, new Error('the server stopped sending'))
  }
}

interface Extent {
  /** Offset of the response's bytes; undefined if it has none. */
  readonly start: number | undefined
  /** Size of the whole file; undefined if the server does not say. */
  readonly total: number | undefined
}

async function readExtent(
  url: string,
  { status, headers, body }: StreamedAnswer,
  before: number,
): Promise<Extent> {
  const [, from, of] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(String(headers['content-range'] ?? '')) ?? []
  const total = of === undefined ? undefined : Number(of)
  if (status === 206 && Number(from) === before) return { start: before, total }
  const length = headers['content-length']
  if (status === 200) return { start: 0, total: length === undefined ? undefined : Number(length) }
  await body[Symbol.asyncIterator]().return?.()
  if (status === 206 || status === 416) return { start: undefined, total: total ?? -1 }
  throw notServed(url, status)
}

async function sizeOf(file: string): Promise<number> {
  return lstat(file).then(
    ({ size }) => size,
    () => 0,
  )
}

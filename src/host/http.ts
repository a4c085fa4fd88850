/** HTTP client for mirrors: limited in bytes and time, through the environment's proxy, and without decoding. */

import { createHash } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { boundBytes } from './bound-bytes.ts'
import { isNoSpace } from './failures.ts'
import { temporaryName } from './files.ts'
import { hasProxy, proxyNote } from './proxy.ts'
import { withinLimit } from './within-limit.ts'
import { createWriteStream } from './writing.ts'

/** A complete response. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
}

const connectTimeoutMs = 10_000
const retryDelayMs = 500

/** A response may take this long, plus the time that its maximum size takes at the slowest rate. */
const patienceMs = 60_000
const slowestBytesPerMs = 16
const longestMs = 2 * 3600_000

/** Network failures that go away by themselves: a reset connection, or a busy name server. */
const transientFaults = new Set(['ECONNRESET', 'UND_ERR_SOCKET', 'EAI_AGAIN'])

const mostRedirections = 5

let direct: Dispatcher | undefined
let following: Dispatcher | undefined

/** The environment's proxy, if it names one. @throws PipelineError `proxy-unusable` */
function environmentDispatcher({
  Agent,
  EnvHttpProxyAgent,
}: Pick<typeof import('undici'), 'Agent' | 'EnvHttpProxyAgent'>): Dispatcher {
  const options = { connect: { timeout: connectTimeoutMs }, connections: 4 }
  // Caching proxies for packages expect plain requests for http URLs, and most refuse tunnels.
  const proxied = { ...options, proxyTunnel: false }
  return hasProxy(process.env) ? new EnvHttpProxyAgent(proxied) : new Agent(options)
}

/**
 * Fetches a small file, without decoding it. Retries once after a transient failure.
 * @param maximumBytes of the content; also determines how long it may take
 * @throws PipelineError `mirror-unreachable`, `download-too-large`, `download-encoded`
 */
export async function get(
  url: string,
  maximumBytes: number,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  return attempt(url, signal, () =>
    withResponse(url, 'GET', maximumBytes, signal, async ({ status, body }) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      return { status, body: Buffer.concat(chunks) }
    }),
  )
}

/** The status of a file, without fetching it. @throws PipelineError `mirror-unreachable` */
export async function head(url: string, signal: AbortSignal | undefined): Promise<number> {
  return attempt(url, signal, () => withResponse(url, 'HEAD', 0, signal, async ({ status }) => status))
}

/**
 * Downloads a URL to a file, which gets its name only once it is complete.
 * @throws PipelineError `mirror-unreachable`, `mirror-http-status`, `download-too-large`, `download-encoded`
 */
export async function download(
  url: string,
  file: string,
  maximumBytes: number,
  signal: AbortSignal,
): Promise<{ readonly sha256: string }> {
  const partial = temporaryName(file)
  const hash = createHash('sha256')
  const hashing = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      hash.update(chunk)
      yield chunk
    }
  }
  try {
    await withResponse(url, 'GET', maximumBytes, signal, async ({ status, body }) => {
      if (status !== 200) throw notServed(url, status)
      await pipeline(body, hashing, createWriteStream(partial, { flags: 'wx' }))
    })
    await rename(partial, file)
  } catch (cause) {
    await rm(partial, { force: true })
    if (signal.aborted) throw signal.reason
    throw cause instanceof PipelineError || isNoSpace(cause) ? cause : unreachable(url, cause)
  }
  return { sha256: hash.digest('hex') }
}

/** A response whose content is streamed. */
export interface StreamedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: AsyncIterable<Uint8Array>
}

export interface StreamedRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly signal: AbortSignal
}

/**
 * Passes the content on as the server sent it: same bytes, length, and encoding. There are no limits.
 * @param follows whether to follow redirections @default true
 * @throws PipelineError `mirror-unreachable` if no response begins
 */
export async function request(
  url: string,
  options: StreamedRequest,
  follows = true,
): Promise<StreamedAnswer> {
  return attempt(url, options.signal, () => send(url, options, follows))
}

/** Sends one request, through the environment's proxy. Sets no limits, and does not explain failures. */
export async function send(url: string, options: StreamedRequest, follows: boolean): Promise<StreamedAnswer> {
  // Loads a hundred modules, which a program that contacts no server does not need.
  const undici = await import('undici')
  direct ??= environmentDispatcher(undici)
  following ??= direct.compose(undici.interceptors.redirect({ maxRedirections: mostRedirections }))
  const dispatcher = follows ? following : direct
  const { statusCode, headers, body } = await undici.request(url, { ...options, dispatcher })
  return { status: statusCode, headers, body }
}

/** Limits a response in bytes and time, and closes its connection whatever happens. */
async function withResponse<Result>(
  url: string,
  method: 'GET' | 'HEAD',
  maximumBytes: number,
  signal: AbortSignal | undefined,
  use: (answer: StreamedAnswer) => Promise<Result>,
): Promise<Result> {
  return withinLimit(limitMsFor(maximumBytes), signal, async (within) => {
    const answer = await send(url, { method, headers: identity, signal: within }, true)
    requirePlain(url, answer)
    const length = Number(answer.headers['content-length'] ?? 0)
    if (method === 'GET' && length > maximumBytes) throw tooLarge(url, maximumBytes, length)
    return use({
      ...answer,
      body: boundBytes(answer.body, maximumBytes, () => tooLarge(url, maximumBytes)),
    })
  })
}

/** How long this many bytes may take, in both directions together. */
export function limitMsFor(bytes: number): number {
  return Math.ceil(Math.min(longestMs, patienceMs + bytes / slowestBytesPerMs))
}

/** Asks for unencoded content: a small encoded response could unpack to a large one, past every limit. */
export const identity = { 'accept-encoding': 'identity' } as const

/** @throws PipelineError `download-encoded` if the content needs decoding */
export function requirePlain(url: string, { headers }: Pick<StreamedAnswer, 'headers'>): void {
  const encoding = `${headers['content-encoding'] ?? 'identity'}`
  // Some servers declare every file with this suffix as encoded, although it is the file itself.
  const isFile = /^(?:x-)?gzip$/i.test(encoding) && new URL(url).pathname.endsWith('.gz')
  if (encoding === 'identity' || isFile) return
  throw new PipelineError({
    code: 'download-encoded',
    message: `${new URL(url).host} sends ${url} with the encoding ${JSON.stringify(encoding)}, which was not requested`,
    hint: 'use another server, or avoid the proxy that compresses responses.',
    exitCode: exitCodes.hostNotFit,
    details: { url, encoding },
  })
}

async function attempt<T>(url: string, signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await act()
    } catch (cause) {
      if (signal?.aborted) throw signal.reason
      if (cause instanceof PipelineError) throw cause
      if (attempts === 1 && transientFaults.has(faultCode(cause))) await delay(retryDelayMs)
      else throw unreachable(url, cause)
    }
  }
}

export function tooLarge(url: string, maximumBytes: number, found?: number): PipelineError {
  return new PipelineError({
    code: 'download-too-large',
    message: `${url} has ${found ?? 'too many'} bytes, where at most ${maximumBytes} are expected`,
    hint: 'give the URL of another file.',
    exitCode: exitCodes.badInput,
    details: { url, maximumBytes },
  })
}

export function notServed(url: string, status: number): PipelineError {
  return new PipelineError({
    code: 'mirror-http-status',
    message: `${new URL(url).host} answers HTTP ${status} for ${url}`,
    hint: 'try again later, or use another server.',
    exitCode: exitCodes.hostNotFit,
    details: { url, status },
  })
}

/** undici says "fetch failed" and hides the reason in the cause; a host with two addresses adds another level. */
export function rootCause(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return rootCause(error.errors[0])
  return error instanceof Error && error.cause instanceof Error ? rootCause(error.cause) : error
}

function faultCode(error: unknown): string {
  const root = rootCause(error)
  return root instanceof Error && 'code' in root ? String(root.code) : ''
}

export function unreachable(url: string, cause: unknown): PipelineError {
  const root = rootCause(cause)
  const why = messageOf(root)
  return new PipelineError({
    code: 'mirror-unreachable',
    message: `cannot reach ${new URL(url).host} for ${url}: ${why}${proxyNote(url, process.env)}`,
    hint: 'check the network, http_proxy and the mirror in pipeline.ts.',
    exitCode: exitCodes.hostNotFit,
    details: { url, fault: faultCode(cause) },
    cause,
  })
}

/** HTTP for talking to mirrors: with timeouts, through the environment's proxy, and retries only for specific failures. */

import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import {
  Agent,
  type Dispatcher,
  EnvHttpProxyAgent,
  fetch,
  interceptors,
  request as requestStream,
} from 'undici'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { temporaryName } from './files.ts'
import { hasProxy, proxyNote } from './proxy.ts'

/** A complete response. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
}

const connectTimeoutMs = 10_000
/** For a complete response. The largest while verifying a mirror, an index of udebs, has about 70 kB. */
const answerTimeoutMs = 60_000
/** For a file of some MB. */
export const downloadTimeoutMs = 15 * 60_000
const retryDelayMs = 500

/** Network failures that pass by themselves: a reset connection, and a busy name server. */
const transientFaults = new Set(['ECONNRESET', 'UND_ERR_SOCKET', 'EAI_AGAIN'])

let dispatcher: Dispatcher | undefined
/** Follows redirects, as fetch does by itself. */
let streaming: Dispatcher | undefined

/** The environment's proxy, if it names one. @throws PipelineError `proxy-unusable` */
function environmentDispatcher(): Dispatcher {
  const direct = { connect: { timeout: connectTimeoutMs }, connections: 4 }
  // Caching proxies for packages expect plain requests for http URLs, and mostly refuse tunnels.
  const proxied = { ...direct, proxyTunnel: false }
  return hasProxy(process.env) ? new EnvHttpProxyAgent(proxied) : new Agent(direct)
}

/**
 * Sends a request through the environment's proxy. Transient failures are retried once.
 * @throws PipelineError `mirror-unreachable`
 */
export async function get(
  url: string,
  method: 'GET' | 'HEAD',
  signal: AbortSignal | undefined,
  timeoutMs = answerTimeoutMs,
): Promise<Answer> {
  dispatcher ??= environmentDispatcher()
  const through = dispatcher
  return attempt(url, signal, async () => {
    const timeout = AbortSignal.timeout(timeoutMs)
    const limit = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
    const response = await fetch(url, { method, dispatcher: through, signal: limit })
    return { status: response.status, body: Buffer.from(await response.arrayBuffer()) }
  })
}

/** A response whose content is streamed. */
export interface StreamedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: AsyncIterable<Uint8Array>
}

const mostRedirections = 5

/**
 * Like `get`, but passes the content on as the server sent it: its bytes, its length, its encoding.
 * @throws PipelineError `mirror-unreachable` if no response begins
 */
export async function request(
  url: string,
  options: {
    readonly method: 'GET' | 'HEAD'
    readonly headers: Readonly<Record<string, string>>
    readonly signal: AbortSignal
  },
): Promise<StreamedAnswer> {
  dispatcher ??= environmentDispatcher()
  streaming ??= dispatcher.compose(interceptors.redirect({ maxRedirections: mostRedirections }))
  const through = { ...options, dispatcher: streaming }
  return attempt(url, options.signal, async () => {
    const { statusCode, headers, body } = await requestStream(url, through)
    return { status: statusCode, headers, body }
  })
}

async function attempt<T>(url: string, signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await act()
    } catch (cause) {
      if (signal?.aborted) throw signal.reason
      if (attempts === 1 && transientFaults.has(faultCode(cause))) await delay(retryDelayMs)
      else throw unreachable(url, cause)
    }
  }
}

/** For a disc of some hundred MB. */
const discTimeoutMs = 2 * 3600_000

/**
 * Downloads a URL to a file, which only appears under its name once complete.
 * @throws PipelineError `mirror-unreachable`, `mirror-http-status`
 */
export async function download(
  url: string,
  file: string,
  signal: AbortSignal,
): Promise<{ readonly sha256: string }> {
  dispatcher ??= environmentDispatcher()
  const partial = temporaryName(file)
  const hash = createHash('sha256')
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(discTimeoutMs)])
    const { status, body } = await fetch(url, { dispatcher, signal: limit })
    if (status !== 200 || body === null) throw notServed(url, status)
    const hashing = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        yield chunk
      }
    }
    await pipeline(body, hashing, createWriteStream(partial), { signal: limit })
  } catch (cause) {
    await rm(partial, { force: true })
    if (signal.aborted) throw signal.reason
    throw cause instanceof PipelineError ? cause : unreachable(url, cause)
  }
  await rename(partial, file)
  return { sha256: hash.digest('hex') }
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

/** undici says "fetch failed" and hides the reason in the cause; a host with two addresses adds one more level. */
function rootCause(error: unknown): unknown {
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

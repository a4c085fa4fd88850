/** Requests that can have a body: limited in bytes and time, and retried while a server is busy. */

import { setTimeout as delay } from 'node:timers/promises'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { boundBytes } from './bound-bytes.ts'
import { identity, limitMsFor, requirePlain, rootCause, send, tooLarge } from './http.ts'
import { proxyNote } from './proxy.ts'
import { withinLimit } from './within-limit.ts'

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
  /** Limit for the response. */
  readonly maximumBytes: number
  /** Whether the request is idempotent. */
  readonly mayRepeat: boolean
  readonly signal: AbortSignal
}

/** A complete response. */
export interface Exchanged {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

/** Statuses after which the same request can be sent again. */
const busy = new Set([429, 500, 502, 503, 504])

/** Waits before each retry. */
const pausesMs = [500, 2000, 8000]

/**
 * Sends a request until it is answered: up to four times if it may be repeated. Redirections are not followed, because a
 * signature is valid for one address only.
 * @param make returns a fresh request for each attempt, since signatures include a time
 * @throws PipelineError `server-unreachable`, `download-too-large`, `download-encoded`; the signal's reason
 */
export async function exchange(url: string, make: () => Promise<Exchange>): Promise<Exchanged> {
  for (let attempt = 0; ; attempt += 1) {
    const request = await make()
    const pauseMs = request.mayRepeat ? pausesMs[attempt] : undefined
    try {
      const answer = await attemptOnce(url, request)
      if (pauseMs === undefined || !busy.has(answer.status)) return answer
    } catch (cause) {
      request.signal.throwIfAborted()
      if (cause instanceof PipelineError) throw cause
      if (pauseMs === undefined) throw unreachableServer(url, cause)
    }
    await delay(pauseMs, undefined, { signal: request.signal }).catch(() => request.signal.throwIfAborted())
  }
}

export function unreachableServer(url: string, cause: unknown): PipelineError {
  const { host } = new URL(url)
  return new PipelineError({
    code: 'server-unreachable',
    message: `cannot reach ${host}: ${messageOf(rootCause(cause))}${proxyNote(url, process.env)}`,
    hint: 'check the address, the network and http_proxy.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

// --- internal ---

async function attemptOnce(
  url: string,
  { method, headers, body, maximumBytes, signal }: Exchange,
): Promise<Exchanged> {
  const limitMs = limitMsFor((body?.length ?? 0) + maximumBytes)
  const content = body === undefined ? {} : { body }
  return withinLimit(limitMs, signal, async (within) => {
    const options = { method, headers: { ...identity, ...headers }, ...content, signal: within }
    const answer = await send(url, options, false)
    const place = withoutQuery(url)
    requirePlain(place, answer)
    const chunks: Uint8Array[] = []
    for await (const chunk of boundBytes(answer.body, maximumBytes, () => tooLarge(place, maximumBytes)))
      chunks.push(chunk)
    return { status: answer.status, headers: answer.headers, body: Buffer.concat(chunks) }
  })
}

function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

/** Signed calls to CloudStack's API, and its refusals in its own words. */

import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { exitCodes, PipelineError } from '../errors.ts'
import { type Exchange, exchange, unreachableServer } from '../host/exchange.ts'
import { tookLonger, withinLimit } from '../host/within-limit.ts'
import { conceal } from '../redact.ts'
import { inOneLine, parseJson } from '../text.ts'
import type { CloudSettings } from './settings.ts'

export type Parameters = Readonly<Record<string, string>>

export interface CloudCall<Schema extends z.ZodType> {
  /** E.g. `listZones`. */
  readonly command: string
  readonly parameters?: Parameters
  /** Schema of the value in the response's only field. */
  readonly answer: Schema
  readonly signal: AbortSignal
}

export type CallCloud = <Schema extends z.ZodType>(call: CloudCall<Schema>) => Promise<z.output<Schema>>

/** A list of all OS types takes 200 kB. */
const mostAnswerBytes = 8 * 1024 ** 2

/** For a call and its repetitions together. Even registering takes a server a few seconds at most. */
const callMs = 60_000

/** How long a signature is valid. Servers may refuse more than fifteen minutes. */
const validMs = 10 * 60_000

const envelope = z.record(z.string(), z.unknown())
const errorSchema = z.object({ errorcode: z.number(), errortext: z.string().max(10_000) })

/** Calls one CloudStack. @throws PipelineError `cloudstack-refused`, `server-unreachable` */
export function openCloud({ url, apiKey, secretKey }: CloudSettings): CallCloud {
  return async ({ command, parameters = {}, answer: schema, signal }) => {
    const make = async (within: AbortSignal): Promise<Exchange> => {
      const asked = {
        ...parameters,
        command,
        apiKey,
        response: 'json',
        signatureVersion: '3',
        expires: formatExpiry(new Date(Date.now() + validMs)),
      }
      // In the body, because servers and proxies log URLs.
      const body = new URLSearchParams({ ...asked, signature: signatureOf(asked, secretKey) }).toString()
      return {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: Buffer.from(body),
        maximumBytes: mostAnswerBytes,
        // Registering twice would make two templates.
        mayRepeat: command.startsWith('list'),
        signal: within,
      }
    }
    const answer = await withinLimit(
      callMs,
      signal,
      (within) => exchange(url.href, () => make(within)),
      () => unreachableServer(url.href, tookLonger(callMs)),
    )
    // The server knows the API key of the call, and may echo it in any name or status.
    const value = parseJson(answer.body.toString('utf8'), (text) => conceal(text, [secretKey, apiKey]))
    const inner = Object.values(envelope.safeParse(value).data ?? {})[0]
    const refusal = errorSchema.safeParse(inner).data
    const read = schema.safeParse(inner)
    if (refusal === undefined && answer.status === 200 && read.success) return read.data
    const words =
      refusal === undefined
        ? `HTTP ${answer.status}, without an answer from CloudStack`
        : inOneLine(`${refusal.errortext} (${refusal.errorcode})`)
    throw new PipelineError({
      code: 'cloudstack-refused',
      message: `${url.host} refuses ${command}: ${words}`,
      hint: hintFor(refusal?.errorcode ?? answer.status),
      exitCode: exitCodes.hostNotFit,
      details: { command, errorCode: refusal?.errorcode ?? null },
    })
  }
}

/** CloudStack's signature: HMAC-SHA1 of the sorted parameters as a lowercase query string. */
export function signatureOf(parameters: Parameters, secretKey: string): string {
  const query = Object.entries(parameters)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${encode(value)}`)
    .join('&')
    .toLowerCase()
  return createHmac('sha1', secretKey).update(query).digest('base64')
}

// --- internal ---

/** Encodes like Java's URLEncoder, but with %20 for a space. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()~]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** `2026-01-02T03:04:05+0000` */
function formatExpiry(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, '+0000')
}

function hintFor(code: number): string {
  if (code === 401)
    return 'check the API key, its secret, and the clock of this host: a signature is valid for ten minutes. The account must be enabled.'
  if (code === 432) return 'the role of this account does not permit that command.'
  return 'the message is CloudStack’s; its management-server.log says more.'
}

/** Signed requests to an object store that speaks S3, with its refusals in its own words. */

import { Sha256 } from '@smithy/core/checksum'
import { SignatureV4 } from '@smithy/signature-v4'
import { sha256 } from '../../digest.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { type Exchanged, exchange } from '../../host/exchange.ts'
import { conceal } from '../../redact.ts'
import { readRefusal } from './answers.ts'
import type { BucketSettings } from './settings.ts'

export interface BucketCall {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Without the bucket; empty for the bucket itself. */
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Limit for the response. @default 1 MiB */
  readonly maximumBytes?: number
  /** Refusals that are not failures, by their code, or by their status where S3 sends no code. */
  readonly accepts?: readonly string[]
  readonly signal: AbortSignal
}

/** The response, and the code of a refusal that was accepted. */
export interface BucketAnswer extends Exchanged {
  readonly refusal: string | undefined
}

export type CallBucket = (call: BucketCall) => Promise<BucketAnswer>

/** A list of a thousand parts has half of it. */
const mostAnswerBytes = 1024 ** 2

/** Calls one store. @throws PipelineError `object-store-refused`, `server-unreachable` */
export function openBucket({ bucket, endpoint, region, credentials }: BucketSettings): CallBucket {
  const signer = new SignatureV4({ service: 's3', region, credentials, sha256: Sha256, uriEscapePath: false })
  const secrets = [
    credentials.secretAccessKey,
    ...(credentials.sessionToken ? [credentials.sessionToken] : []),
  ]

  return async ({ method, key, query = {}, headers = {}, body, signal, ...limits }) => {
    const path = `/${[bucket, ...key.split('/')].map(escapePart).join('/')}`
    const { accepts = [], maximumBytes = mostAnswerBytes } = limits
    const url = new URL(path, endpoint)
    url.search = Object.entries(query)
      .map(([name, value]) => `${escapePart(name)}=${escapePart(value)}`)
      .join('&')
    const answer = await exchange(url.href, async () => {
      const signed = await signer.sign({
        method,
        protocol: endpoint.protocol,
        hostname: endpoint.hostname,
        path,
        query: { ...query },
        // The store compares what it receives with this digest.
        headers: { ...headers, host: endpoint.host, 'x-amz-content-sha256': sha256(body ?? '') },
      })
      return { method, headers: signed.headers, body, maximumBytes, mayRepeat: true, signal }
    })
    const refusal = refusalOf(answer)
    if (refusal === undefined) return { ...answer, refusal }
    if (accepts.includes(refusal.code)) return { ...answer, refusal: refusal.code }
    const { code, message } = refusal
    throw new PipelineError({
      code: 'object-store-refused',
      message: conceal(
        `${endpoint.host} refuses ${method} of ${[bucket, key].filter(Boolean).join('/')}: ${code}${message === '' ? '' : `: ${message}`}`,
        secrets,
      ),
      hint: hintFor(code, answer),
      exitCode: exitCodes.hostNotFit,
      details: { refusal: code },
    })
  }
}

// --- internal ---

/** Escapes everything that RFC 3986 does not leave unreserved, as signatures require. */
function escapePart(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A long upload is accepted before it is completed: its refusal comes with status 200. */
function refusalOf({
  status,
  body,
}: Exchanged): { readonly code: string; readonly message: string } | undefined {
  const said = readRefusal(body)
  if (said !== undefined) return said
  return status >= 200 && status < 300 ? undefined : { code: `HTTP ${status}`, message: '' }
}

function hintFor(code: string, { headers }: Exchanged): string {
  const region = headers['x-amz-bucket-region']
  if (typeof region === 'string' && /^[a-z0-9-]{1,40}$/.test(region))
    return `the bucket may be in another region: --region ${region}`
  return (
    hints[code] ?? 'the message comes from the object store: docs/publish.md lists what it has to permit.'
  )
}

const hints: Readonly<Record<string, string>> = {
  AccessDenied:
    'permit s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload, s3:ListMultipartUploadParts, and for the bucket s3:ListBucket and s3:ListBucketMultipartUploads.',
  'HTTP 403':
    'the object store knows the key, or the bucket, and does not permit this: docs/publish.md lists what it has to permit.',
  InvalidAccessKeyId: 'the object store does not know AWS_ACCESS_KEY_ID: is it a key of this store?',
  SignatureDoesNotMatch:
    'AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID, or something on the way changes requests.',
  RequestTimeTooSkewed: 'the clock of this host is wrong.',
  NoSuchBucket: 'make the bucket first, and name it in --to.',
}

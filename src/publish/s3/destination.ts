/** An object store that speaks S3. Objects appear complete or not at all; large ones are sent in parts, and can be resumed. */

import { createHash } from 'node:crypto'
import { exitCodes, PipelineError } from '../../errors.ts'
import { openToRead } from '../../host/regular-file.ts'
import { someAtATime } from '../../host/some-at-a-time.ts'
import { touchOf } from '../../host/touch.ts'
import {
  changedMeanwhile,
  type Destination,
  mostTextBytes,
  type OnBytes,
  type SentFile,
} from '../destination.ts'
import { readParts, readUploadId, readUploads, renderCompletion, type StoredPart } from './answers.ts'
import { type CallBucket, openBucket } from './client.ts'
import type { BucketSettings } from './settings.ts'

/** Label with an object's digest. All stores keep metadata, but there is no digest of their own that all of them know. */
const label = 'x-amz-meta-sha256'

const mebibyte = 1024 ** 2

/** S3 takes parts of at least 5 MiB, and at most 10,000 of them. */
const smallestPartBytes = 16 * mebibyte
const mostParts = 9000

/** Parts sent in parallel. */
const width = 3

/** @param series folder of the release, e.g. `4.22` */
export function bucketDestination(settings: BucketSettings, series: string): Destination {
  const { bucket, prefix, endpoint } = settings
  const call = openBucket(settings)
  const keyOf = (name: string) => `${prefix}${series}/${name}`
  return {
    label: `s3://${bucket}/${prefix}${series} at ${endpoint.host}`,
    compare: (file, signal) => compare(call, keyOf(file.name), file, signal),
    async readText(name, signal) {
      const answer = await call({
        method: 'GET',
        key: keyOf(name),
        maximumBytes: mostTextBytes,
        accepts: ['NoSuchKey', 'HTTP 404'],
        signal,
      })
      return answer.refusal === undefined ? answer.body.toString('utf8') : undefined
    },
    async put(file, onBytes, signal) {
      const { mark: before } = await touchOf(file.path)
      const object: StoredObject = { key: keyOf(file.name), file, call, onBytes, signal }
      const send = file.sizeBytes <= smallestPartBytes ? putWhole : putInParts
      await send(object)
      if ((await touchOf(file.path)).mark !== before) {
        await call({ method: 'DELETE', key: object.key, signal })
        throw changedMeanwhile(file.name)
      }
    },
    async remove(name, signal) {
      await call({ method: 'DELETE', key: keyOf(name), accepts: ['NoSuchKey', 'HTTP 404'], signal })
    },
  }
}

// --- internal ---

interface StoredObject {
  readonly key: string
  readonly file: SentFile
  readonly call: CallBucket
  readonly onBytes: OnBytes
  readonly signal: AbortSignal
}

async function compare(call: CallBucket, key: string, { sizeBytes, sha256 }: SentFile, signal: AbortSignal) {
  const accepts = ['NoSuchKey', 'HTTP 404']
  const { refusal, headers } = await call({ method: 'HEAD', key, accepts, signal })
  if (refusal !== undefined) return 'nothing'
  return headers[label] === sha256 && Number(headers['content-length']) === sizeBytes ? 'the same' : 'another'
}

function headersFor({ name, sha256 }: SentFile): Readonly<Record<string, string>> {
  return { 'content-type': contentTypeOf(name), [label]: sha256 }
}

/** Browsers display types that they can show, and save others. */
function contentTypeOf(name: string): string {
  if (/\.(?:txt|ini|md|asc|sig)$/.test(name)) return 'text/plain; charset=utf-8'
  if (/\.html$/.test(name)) return 'text/html; charset=utf-8'
  return /\.json$/.test(name) ? 'application/json' : 'application/octet-stream'
}

async function putWhole({ key, file, call, onBytes, signal }: StoredObject): Promise<void> {
  const body = await readRange(file, 0, file.sizeBytes)
  if (createHash('sha256').update(body).digest('hex') !== file.sha256) throw changedMeanwhile(file.name)
  await call({ method: 'PUT', key, headers: headersFor(file), body, signal })
  onBytes(file.sizeBytes, file.sizeBytes)
}

/**
 * Sends the missing parts of a file. An upload that was begun for another file with the same beginning would keep that file's
 * label, so the label is checked at the end.
 */
async function putInParts(object: StoredObject): Promise<void> {
  const { key, file, call, signal } = object
  const begun = await findUpload(object)
  await sendParts(object, begun ?? (await beginUpload(object)))
  if ((await compare(call, key, file, signal)) === 'the same') return
  if (begun !== undefined) await sendParts(object, await beginUpload(object))
  if ((await compare(call, key, file, signal)) !== 'the same')
    throw new PipelineError({
      code: 'object-store-refused',
      message: `the object store accepted ${key}, but does not have it as it was sent`,
      hint: 'it has to keep the size and the metadata of objects (x-amz-meta-sha256).',
      exitCode: exitCodes.hostNotFit,
    })
}

interface Upload {
  readonly id: string
  /** Parts that the store already has, by number. */
  readonly parts: ReadonlyMap<number, StoredPart>
}

async function beginUpload({ key, file, call, signal }: StoredObject): Promise<Upload> {
  const answer = await call({
    method: 'POST',
    key,
    query: { uploads: '' },
    headers: headersFor(file),
    signal,
  })
  return { id: understood(key, () => readUploadId(answer.body)), parts: new Map() }
}

/** The newest upload of this object that was never completed. Stores that list no uploads count as having none. */
async function findUpload({ key, call, signal }: StoredObject): Promise<Upload | undefined> {
  const answer = await call({
    method: 'GET',
    key: '',
    query: { uploads: '', prefix: key },
    accepts: ['NotImplemented', 'HTTP 501', 'AccessDenied'],
    signal,
  })
  if (answer.refusal !== undefined) return undefined
  const [newest] = understood(key, () => readUploads(answer.body))
    .filter((upload) => upload.key === key)
    .sort((one, other) => (one.initiated > other.initiated ? -1 : 1))
  if (newest === undefined) return undefined
  const parts = new Map<number, StoredPart>()
  for (let marker: string | undefined = '0', pages = 0; marker !== undefined && pages < 10; pages += 1) {
    const listed = await call({
      method: 'GET',
      key,
      query: { uploadId: newest.uploadId, 'part-number-marker': marker },
      accepts: ['NoSuchUpload'],
      signal,
    })
    // Completed or aborted since it was listed.
    if (listed.refusal !== undefined) return undefined
    const { parts: found, next } = understood(key, () => readParts(listed.body))
    for (const part of found) parts.set(part.number, part)
    marker = next
  }
  return { id: newest.uploadId, parts }
}

/** @throws PipelineError `object-store-refused` for a response that is not in S3's format */
function understood<Answer>(key: string, read: () => Answer): Answer {
  try {
    return read()
  } catch (cause) {
    throw new PipelineError({
      code: 'object-store-refused',
      message: `the object store answers in another format than S3 when it is asked about parts of ${key}`,
      hint: 'check that --endpoint is the address of an object store, not of a page in front of it.',
      exitCode: exitCodes.hostNotFit,
      cause,
    })
  }
}

async function sendParts({ key, file, call, onBytes, signal }: StoredObject, upload: Upload): Promise<void> {
  const partBytes = partSize(file.sizeBytes)
  const numbers = Array.from({ length: Math.ceil(file.sizeBytes / partBytes) }, (_, index) => index + 1)
  let done = 0
  let sentBytes = 0
  const parts = await someAtATime(
    numbers,
    async (number) => {
      signal.throwIfAborted()
      const start = (number - 1) * partBytes
      const body = await readRange(file, start, Math.min(partBytes, file.sizeBytes - start))
      const there = isThere(upload.parts.get(number), body)
      const etag = there ?? (await sendPart(number, body))
      done += body.length
      sentBytes += there === undefined ? body.length : 0
      onBytes(done, sentBytes)
      return { number, etag }
    },
    width,
  )
  await call({
    method: 'POST',
    key,
    query: { uploadId: upload.id },
    body: Buffer.from(renderCompletion(parts)),
    // An attempt whose response was lost may have completed it; the object is compared afterwards.
    accepts: ['NoSuchUpload'],
    signal,
  })

  async function sendPart(number: number, body: Uint8Array): Promise<string> {
    const query = { partNumber: `${number}`, uploadId: upload.id }
    const { headers } = await call({ method: 'PUT', key, query, body, signal })
    const { etag } = headers
    if (typeof etag === 'string' && etag.length <= 200) return etag
    throw new PipelineError({
      code: 'object-store-refused',
      message: `the object store answers part ${number} of ${key} without an ETag`,
      hint: 'check whether a proxy on the way removes it.',
      exitCode: exitCodes.hostNotFit,
    })
  }
}

/** The ETag of a part that is there and has these bytes. If it is not an MD5, as with KMS keys, the part is sent again. */
function isThere(part: StoredPart | undefined, body: Uint8Array): string | undefined {
  if (part === undefined || part.sizeBytes !== body.length) return undefined
  const md5 = createHash('md5').update(body).digest('hex')
  return part.etag.replaceAll('"', '') === md5 ? part.etag : undefined
}

function partSize(sizeBytes: number): number {
  const least = Math.ceil(sizeBytes / mostParts / mebibyte) * mebibyte
  return Math.max(smallestPartBytes, least)
}

async function readRange({ path, name }: SentFile, start: number, length: number): Promise<Buffer> {
  const file = await openToRead(path)
  try {
    const bytes = Buffer.allocUnsafe(length)
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(bytes, done, length - done, start + done)
      if (bytesRead === 0) throw changedMeanwhile(name)
      done += bytesRead
    }
    return bytes
  } finally {
    await file.close()
  }
}

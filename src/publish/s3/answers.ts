/** An object store's responses: untrusted XML, of which only the needed parts are read. */

import { DOMParser, type Document } from '@xmldom/xmldom'
import { z } from 'zod'
import { inOneLine, lineOf } from '../../text.ts'

/** The code and message of a refusal; undefined for anything else. */
export function readRefusal(
  body: Uint8Array,
): { readonly code: string; readonly message: string } | undefined {
  const root = parse(body)
  if (root?.documentElement?.localName !== 'Error') return undefined
  const code = lineOf(100).safeParse(textOf(root, 'Code')).data
  const message = inOneLine(textOf(root, 'Message')).slice(0, 500)
  return { code: code || 'an error without a code', message }
}

const uploadId = z.string().min(1).max(2048)

/** The identifier of a multipart upload that has begun. @throws Error */
export function readUploadId(body: Uint8Array): string {
  return uploadId.parse(textOf(parse(body), 'UploadId'))
}

const uploadSchema = z.object({
  key: z.string().max(1024),
  uploadId,
  initiated: z.iso.datetime({ offset: true }),
})

/** Multipart uploads that were never completed. @throws Error */
export function readUploads(body: Uint8Array): readonly z.output<typeof uploadSchema>[] {
  return each(parse(body), 'Upload', (text) =>
    uploadSchema.parse({ key: text('Key'), uploadId: text('UploadId'), initiated: text('Initiated') }),
  )
}

const partSchema = z.object({
  number: z.coerce.number().int().min(1).max(10_000),
  sizeBytes: z.coerce.number().int().min(0),
  /** Includes its quotes, since it has to be sent back that way. */
  etag: lineOf(200).min(1),
})

export type StoredPart = Readonly<z.output<typeof partSchema>>

/** Parts that are there, and where the list continues if it is incomplete. @throws Error */
export function readParts(body: Uint8Array): {
  readonly parts: readonly StoredPart[]
  readonly next: string | undefined
} {
  const root = parse(body)
  const parts = each(root, 'Part', (text) =>
    partSchema.parse({ number: text('PartNumber'), sizeBytes: text('Size'), etag: text('ETag') }),
  )
  const next = textOf(root, 'IsTruncated') === 'true' ? textOf(root, 'NextPartNumberMarker') : undefined
  return { parts, next }
}

/** The request that makes one object from its parts. */
export function renderCompletion(
  parts: readonly { readonly number: number; readonly etag: string }[],
): string {
  const lines = parts.map(
    ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
  )
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${lines.join('')}</CompleteMultipartUpload>`
}

// --- internal ---

function parse(body: Uint8Array): Document | undefined {
  const text = Buffer.from(body).toString('utf8')
  if (!text.trimStart().startsWith('<')) return undefined
  try {
    return new DOMParser({ onError: fail }).parseFromString(text.trimStart(), 'text/xml')
  } catch {
    return undefined
  }
}

function fail(_level: string, message: string): never {
  throw new Error(message)
}

type Node = NonNullable<Document['documentElement']>

/** The text of the first element with a name; empty if there is none. */
function textOf(root: Document | Node | undefined, name: string): string {
  return root?.getElementsByTagNameNS('*', name).item(0)?.textContent?.trim() ?? ''
}

function each<Result>(
  root: Document | undefined,
  name: string,
  read: (text: (name: string) => string) => Result,
): readonly Result[] {
  return [...(root?.getElementsByTagNameNS('*', name) ?? [])].map((element) =>
    read((inner) => textOf(element, inner)),
  )
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

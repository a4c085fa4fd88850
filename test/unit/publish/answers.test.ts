/** What an object store may answer, and what is made of it. */

import { describe, expect, it } from 'vitest'
import {
  readParts,
  readRefusal,
  readUploadId,
  readUploads,
  renderCompletion,
} from '../../../src/publish/s3/answers.ts'

const head = '<?xml version="1.0" encoding="UTF-8"?>\n'
const xmlns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

describe('an answer', () => {
  it('is a refusal if it says so', () => {
    const text = `${head}<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>`
    expect(readRefusal(Buffer.from(text))).toEqual({
      code: 'NoSuchBucket',
      message: 'The specified bucket does not exist',
    })
    expect(readRefusal(Buffer.from(`${head}<Ok ${xmlns}/>`))).toBeUndefined()
  })

  it.each([
    ['nothing', ''],
    ['a page', '<html><body>Bad Gateway</body>'],
    ['bytes', '\u0000\u0001'],
    ['half of it', `${head}<Error><Code>X`],
  ])('may be %s, which is no refusal', (_what, text) => {
    expect(readRefusal(Buffer.from(text))).toBeUndefined()
    expect(() => readUploadId(Buffer.from(text))).toThrow()
    expect(readUploads(Buffer.from(text))).toEqual([])
  })

  it('is not unfolded', () => {
    const bomb = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Error><Code>&b;</Code></Error>`
    expect(readRefusal(Buffer.from(bomb))?.code ?? '').not.toContain('aaaa')
  })

  it('lists uploads and their parts', () => {
    const uploads = `${head}<ListMultipartUploadsResult ${xmlns}><Upload><Key>a/b</Key><UploadId>u&amp;1</UploadId><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload></ListMultipartUploadsResult>`
    expect(readUploads(Buffer.from(uploads))).toEqual([
      { key: 'a/b', uploadId: 'u&1', initiated: '2026-01-02T03:04:05.000Z' },
    ])
    const parts = `${head}<ListPartsResult ${xmlns}><NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber><ETag>"abc"</ETag><Size>5</Size></Part></ListPartsResult>`
    expect(readParts(Buffer.from(parts))).toEqual({
      parts: [{ number: 1, sizeBytes: 5, etag: '"abc"' }],
      next: '1',
    })
  })

  it.each(['0', '10001', '1.5', 'x', ''])('has no part %s', (number) => {
    const text = `<L><Part><PartNumber>${number}</PartNumber><ETag>"a"</ETag><Size>5</Size></Part></L>`
    expect(() => readParts(Buffer.from(text))).toThrow()
  })
})

it('asks for one object of parts', () => {
  expect(renderCompletion([{ number: 1, etag: '"a<b"' }])).toBe(
    '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>1</PartNumber><ETag>&quot;a&lt;b&quot;</ETag></Part></CompleteMultipartUpload>',
  )
})

/** Object stores that are busy, lie, or know what they must not tell; the real one is a judge. */

import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import { runHere } from '../../support/output.ts'
import { bytesOf, writeRelease } from '../../support/release-to-publish.ts'

const path = useFolder()
const image = 'systemvmtemplate-4.22.0-bookworm-kvm.qcow2'

interface Said {
  readonly status: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Asked {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

let server: Server
let answer: (asked: Asked) => Said
let asked: Asked[]

beforeEach(async () => {
  asked = []
  server = createServer(async (request, response) => {
    for await (const _ of request);
    const one = {
      method: request.method ?? '',
      url: new URL(request.url ?? '', 'http://store'),
      headers: request.headers,
    }
    asked.push(one)
    const { status, body = '', headers = {} } = answer(one)
    response.writeHead(status, headers).end(one.method === 'HEAD' ? undefined : body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  vi.stubEnv('HOME', path())
  for (const name of ['AWS_PROFILE', 'AWS_SESSION_TOKEN', 'AWS_REGION']) vi.stubEnv(name, '')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'planted-secret')
  vi.stubEnv('AWS_ENDPOINT_URL_S3', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const bring = (...words: string[]) =>
  runHere('publish', path('release'), '--to', 's3://mirror/systemvm', ...words)

/** Has nothing, and takes everything. */
const empty = ({ method }: Asked): Said => ({ status: method === 'HEAD' ? 404 : 200 })

const refusal = (code: string, message: string) =>
  `<Error><Code>${code}</Code><Message>${message}</Message></Error>`

describe('an object store', () => {
  it('is asked again while it is busy', async () => {
    await writeRelease(path('release'))
    const seen = new Set<string>()
    answer = (one) => {
      const isNew = one.method === 'PUT' && one.url.pathname.endsWith('.ini') && !seen.has(one.url.pathname)
      seen.add(one.url.pathname)
      return isNew ? { status: 503, body: refusal('SlowDown', 'Reduce your request rate') } : empty(one)
    }
    vi.stubEnv('AWS_SESSION_TOKEN', 'planted-token')
    const { exitCode, stderr, stdout } = await bring()
    // A HEAD was the first question about it.
    expect(exitCode, stderr).toBe(0)
    const [put] = asked.filter(({ method }) => method === 'PUT')
    expect(put?.headers).toMatchObject({ 'x-amz-security-token': 'planted-token' })
    expect(`${put?.headers.authorization}`).toMatch(
      /^AWS4-HMAC-SHA256 Credential=key\/\d{8}\/us-east-1\/s3\/aws4_request/,
    )
    expect(`${stdout}${stderr}`).not.toContain('planted')
  })

  it('gets signatures last, and what vouches before them', async () => {
    await writeRelease(path('release'), { signature: 'signed' })
    answer = empty
    expect((await bring()).exitCode).toBe(0)
    const names = asked.flatMap(({ method, url }) =>
      method === 'PUT' ? [url.pathname.split('/').at(-1)] : [],
    )
    expect(names.slice(-5)).toEqual([
      'md5sum.txt',
      'sha256sum.txt',
      'sha512sum.txt',
      'metadata.ini',
      'sha512sum.txt.sig',
    ])
    expect(asked.at(-1)?.url.pathname).toBe('/mirror/systemvm/4.22/sha512sum.txt.sig')
  })

  it.each([
    [
      'refuses and repeats what it must not',
      () => ({ status: 403, body: refusal('AccessDenied', 'no: planted-secret planted-token') }),
      /refuses PUT of mirror\/systemvm\/4\.22\/\S+: AccessDenied: no: … …/,
    ],
    [
      'is in another region',
      () => ({
        status: 301,
        body: refusal('PermanentRedirect', 'elsewhere'),
        headers: { 'x-amz-bucket-region': 'eu-central-1' },
      }),
      /--region eu-central-1/,
    ],
    [
      'answers without end',
      () => ({ status: 200, body: 'x'.repeat(2 ** 21) }),
      /where at most 1048576 are expected/,
    ],
    ['sends a page', () => ({ status: 418, body: '<html>' }), /refuses PUT of .*: HTTP 418\n/],
  ])('is explained where it %s', async (_what, said, expected) => {
    await writeRelease(path('release'))
    vi.stubEnv('AWS_SESSION_TOKEN', 'planted-token')
    answer = (one) => (one.method === 'PUT' ? said() : empty(one))
    const { exitCode, stdout, stderr } = await bring()
    expect([2, 3]).toContain(exitCode)
    expect(stderr).toMatch(expected)
    expect(`${stdout}${stderr}`).not.toContain('planted')
  })

  it('is not believed where it did not keep what it took', async () => {
    await writeRelease(path('release'), { images: { [image]: bytesOf('large', 17 * 1024 ** 2) } })
    answer = ({ method, url }) => {
      if (url.searchParams.has('uploads') && method === 'POST')
        return { status: 200, body: '<R><UploadId>u</UploadId></R>' }
      return { status: method === 'HEAD' ? 404 : 200, headers: { etag: '"x"' } }
    }
    const { exitCode, stderr } = await bring()
    expect(exitCode).toBe(3)
    expect(stderr).toContain('does not have it as it was sent')
  })

  it.each([
    [
      'begins an upload without a name',
      ({ method }: Asked) => method === 'POST',
      '<InitiateMultipartUploadResult/>',
    ],
    [
      'lists an upload without a time',
      ({ method, url }: Asked) => method === 'GET' && url.searchParams.has('uploads'),
      '<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>1</UploadId></Upload></ListMultipartUploadsResult>',
    ],
  ])('that %s is refused by name', async (_case, isIt, body) => {
    await writeRelease(path('release'), { images: { [image]: bytesOf('large', 17 * 1024 ** 2) } })
    answer = (one) => (isIt(one) ? { status: 200, body } : empty(one))
    const { exitCode, stderr } = await bring()
    expect(exitCode, stderr).toBe(3)
    expect(stderr).toContain('the object store answers in another format than S3')
    expect(stderr).toContain('--endpoint')
  })

  it('is reached with the keys of a profile', async () => {
    await writeRelease(path('release'))
    answer = empty
    vi.stubEnv('AWS_ACCESS_KEY_ID', '')
    const without = await bring('--dry-run')
    expect(without.exitCode).toBe(2)
    expect(without.stderr).toContain('there are no credentials for the object store')
    mkdirSync(path('.aws'))
    writeFileSync(path('.aws', 'config'), '[profile mine]\nregion = eu-west-9\n')
    writeFileSync(
      path('.aws', 'credentials'),
      '[mine]\naws_access_key_id = theirs\naws_secret_access_key = planted\n',
    )
    vi.stubEnv('AWS_PROFILE', 'mine')
    expect((await bring('--dry-run')).exitCode).toBe(0)
    expect(`${asked[0]?.headers.authorization}`).toContain('Credential=theirs/')
    expect(`${asked[0]?.headers.authorization}`).toContain('/eu-west-9/s3/')
  })

  it.each([
    ['s3://', /not a bucket with a prefix/],
    ['s3://b', /not a bucket with a prefix/],
    ['s3://mirror/../x', /not a bucket with a prefix/],
    ['s3://me:planted@mirror/x', /not a bucket with a prefix/],
  ])('is not %s', async (to, said) => {
    await writeRelease(path('release'))
    const { exitCode, stderr } = await runHere('publish', path('release'), '--to', to)
    expect(exitCode).toBe(2)
    expect(stderr).toMatch(said)
    expect(stderr).not.toContain('planted')
  })

  it.each(['me:planted', ':planted', 'planted'])('has an address without a login: %s', async (login) => {
    await writeRelease(path('release'))
    const { exitCode, stderr } = await bring('--endpoint', `https://${login}@store.example.org`)
    expect(exitCode).toBe(2)
    expect(stderr).toContain('not the address of an object store')
    expect(stderr).not.toContain('planted')
  })
})

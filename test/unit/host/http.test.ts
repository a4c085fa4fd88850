/** Servers that answer without end, slowly, or with something small that unpacks to something large. */

import { existsSync, readdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fetchListed, verifyRelease } from '../../../src/debian/release.ts'
import { findNewestSnapshot } from '../../../src/debian/snapshots.ts'
import { exchange } from '../../../src/host/exchange.ts'
import { gunzip } from '../../../src/host/gunzip.ts'
import { download, get, head } from '../../../src/host/http.ts'
import { downloadResumably } from '../../../src/host/resumable-download.ts'
import { findDisc } from '../../../src/installers/debian-installer/disc.ts'
import { provideImage } from '../../../src/installers/disk-image/provide-image.ts'
import { provideSource } from '../../../src/stage-files/provide-source.ts'
import { useFolder } from '../../support/folder.ts'
import { collectGarbage, shortenLimits } from '../../support/limits.ts'

const path = useFolder()
const never = new AbortController().signal
const MiB = 1024 ** 2
let server: Server
let url: string
let sentBytes: number
let answer: (request: IncomingMessage, response: ServerResponse) => void

beforeEach(async () => {
  sentBytes = 0
  server = createServer((request, response) => answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  vi.restoreAllMocks()
  server.closeAllConnections()
  server.close()
})

/** Sends as fast as the other side reads, and stops when it hangs up. */
function withoutEnd(_request: IncomingMessage, response: ServerResponse): void {
  const chunk = Buffer.alloc(256 * 1024)
  const more = () => {
    if (response.destroyed) return
    sentBytes += chunk.length
    if (response.write(chunk)) setImmediate(more)
    else response.once('drain', more)
  }
  more()
}

const checksum = 'a'.repeat(64)
const file = (limit: number) => ({ sha256: checksum, size: limit })
const image = { suite: 'trixie', debianArch: 'amd64', arch: 'x86_64', installer: 'debian-installer' } as const
const release = () => ({
  ...{
    url,
    suite: 'trixie',
    keyring: fileURLToPath(import.meta.url),
    components: ['main'],
    arch: 'amd64' as const,
  },
})

const callers: Readonly<Record<string, () => Promise<unknown>>> = {
  'a small file': () => get(url, MiB, never),
  'a downloaded file': () => download(url, path('file'), MiB, never),
  'a resumed file': () => downloadResumably(url, path('file'), { maximumBytes: MiB, signal: never }),
  'the release of a mirror': () => verifyRelease(release() as Parameters<typeof verifyRelease>[0]),
  'a listed file': () => fetchListed(`${url}/Packages.xz`, file(MiB)),
  'the disc of an installer': () =>
    findDisc({
      ...{ iso: { url: `${url}/a.iso`, sha256: checksum }, image, cacheFolder: path(), signal: never },
      onProgress: () => undefined,
    }),
  'a disk image': () =>
    provideImage({
      source: { location: `${url}/a.qcow2`, isUrl: true, checksum: { algorithm: 'sha256', hex: checksum } },
      ...{ cacheFolder: path('cache'), maximumBytes: MiB, onProgress: () => undefined, signal: never },
    }),
}

describe('an answer without end is refused', () => {
  const bounded = Object.keys(callers).filter((name) => name !== 'the disc of an installer')
  it.each(bounded)('for %s, after no more than it may have', async (name) => {
    answer = withoutEnd
    await expect(callers[name]?.()).rejects.toMatchObject({ code: 'download-too-large' })
    // What was on its way when the connection was closed.
    expect(sentBytes).toBeLessThan(24 * MiB)
    expect(existsSync(path('file'))).toBe(false)
  })

  it('before it begins, where its length is stated', async () => {
    answer = (_request, response) =>
      response.writeHead(200, { 'content-length': `${2 ** 40}` }).flushHeaders()
    await expect(get(url, MiB, never)).rejects.toMatchObject({ code: 'download-too-large' })
    await expect(download(url, path('file'), MiB, never)).rejects.toThrow(`${2 ** 40} bytes`)
  })

  it('of a tarball too, and the cache stays as it was', async () => {
    answer = (_request, response) =>
      response.writeHead(200, { 'content-length': `${2 ** 40}` }).flushHeaders()
    const form = { kind: 'tree', top: undefined, sourceDateEpoch: 0 } as const
    const brought = provideSource(
      `${url}/a.tar#sha256=${checksum}`,
      form,
      path('cache'),
      'download',
      undefined,
    )
    await expect(brought).rejects.toMatchObject({ code: 'download-too-large' })
    expect(readdirSync(path('cache'))).toEqual([])
  })

  it('in redirections, too', async () => {
    answer = (_request, response) => response.writeHead(302, { location: `${url}/again` }).end()
    expect((await get(url, MiB, never)).status).toBe(302)
  })
})

describe('an answer that takes too long', () => {
  it('is given up after a time that its largest size decides', async () => {
    const asked = shortenLimits()
    answer = (_request, response) => response.writeHead(200, { 'content-length': '10' }).write('a')
    await expect(get(url, 10, never)).rejects.toMatchObject({
      code: 'mirror-unreachable',
      message: expect.stringContaining('it took longer than 61 s'),
    })
    await expect(download(url, path('file'), 1600 * 1024, never)).rejects.toMatchObject({
      code: 'mirror-unreachable',
    })
    await expect(download(url, path('file'), 2 ** 50, never)).rejects.toThrow(url)
    expect(asked).toEqual([60_001, 162_400, 7_200_000])
  })

  const slow: typeof callers = {
    ...callers,
    'a call of an object store': () =>
      exchange(url, async () => ({
        ...{ method: 'GET', headers: {}, maximumBytes: 10, mayRepeat: false, signal: never },
      })),
    'the newest snapshot': () =>
      findNewestSnapshot(
        {
          ...{ debian: `${url}/{snapshot}`, security: `${url}/{snapshot}`, keyring: '' },
          ...{ components: ['main'], snapshot: undefined },
        },
        new Date(),
        never,
      ),
  }

  it.each(Object.keys(slow))('is given up after memory was collected, too: %s', async (name) => {
    shortenLimits()
    const hasBody = name !== 'the newest snapshot'
    answer = async (_request, response) => {
      if (hasBody) response.writeHead(200, { 'content-length': '10' }).write('a')
      await collectGarbage()
    }
    await expect(slow[name]?.()).rejects.toMatchObject({
      code: expect.stringMatching(/^(mirror|server)-unreachable$/),
      message: expect.stringContaining('it took longer than'),
    })
  })

  it('ends at once when the user interrupts', async () => {
    const stopping = new AbortController()
    answer = (_request, response) => {
      response.writeHead(200).write('a')
      stopping.abort(new Error('enough'))
    }
    await expect(get(url, MiB, stopping.signal)).rejects.toThrow('enough')
  })
})

describe('a packed answer', () => {
  const bomb = gzipSync(Buffer.alloc(64 * MiB))

  it.each(Object.keys(callers))('is not unpacked on the way: %s', async (name) => {
    answer = (request, response) => {
      expect(request.headers['accept-encoding']).toBe('identity')
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': `${bomb.length}` })
      response.end(request.method === 'HEAD' ? undefined : bomb)
    }
    await expect(callers[name]?.()).rejects.toMatchObject({ code: 'download-encoded' })
  })

  it('is a file where its name says so', async () => {
    answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'x-gzip' }).end(bomb)
    expect((await get(`${url}/Packages.gz`, MiB, never)).body.equals(bomb)).toBe(true)
  })

  it('is unpacked within a limit', async () => {
    await expect(gunzip(bomb, MiB, 'Packages.gz')).rejects.toMatchObject({
      code: 'download-too-large',
      message: expect.stringContaining('Packages.gz unpacks to more than'),
    })
    await expect(gunzip(Buffer.from('no gzip'), MiB, 'a')).rejects.toMatchObject({
      code: 'mirror-file-corrupt',
    })
    expect((await gunzip(gzipSync('text'), MiB, 'a')).toString()).toBe('text')
  })
})

it('asks for the status of a file alone', async () => {
  answer = (request, response) => response.writeHead(request.method === 'HEAD' ? 204 : 500).end()
  expect(await head(url, never)).toBe(204)
})

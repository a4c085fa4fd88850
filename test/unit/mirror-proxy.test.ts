import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, createServer as createPlainServer, type Server as PlainServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type MirrorProxy,
  type ProxyAnswer,
  startMirrorProxy,
} from '../../src/build/installer/mirror-proxy.ts'
import { useFolder } from '../support/folder.ts'

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')

/** The mirror leaves an epoch out of a file's name, and apt does not. */
const content = randomBytes(300_000).toString('hex')
const path = 'pool/main/a/acpid/acpid_2.0.34-1+b1_amd64.deb'
const archiveName = 'acpid_1%3a2.0.34-1+b1_amd64.deb'
const packageIndex = `
Package: before
Version: 1

Package: acpid
Version: 1:2.0.34-1+b1
Architecture: amd64
Filename: ${path}
Size: ${content.length}
SHA256: ${sha256(content)}

Package: after
Version: 2
`

describe("the way of an installer's guest to the mirror", () => {
  const below = useFolder()
  let upstream: Server
  let mirror: string
  /** What the mirror is asked for, and what it has. */
  let asked: string[]
  let files: Map<string, string>
  let proxy: MirrorProxy
  let answers: ProxyAnswer[]

  const start = async (
    changed: { readonly mirror?: string; readonly otherHosts?: readonly string[] } = {},
  ) => {
    proxy = await startMirrorProxy({
      mirror,
      otherHosts: [],
      packageIndex,
      packageCache: below('packages'),
      workFolder: below('work'),
      onAnswer: (answer) => answers.push(answer),
      ...changed,
    })
  }

  beforeEach(async () => {
    asked = []
    answers = []
    files = new Map([[`/debian/${path}`, content]])
    upstream = createServer((incoming, response) => {
      asked.push(incoming.url ?? '')
      const found = files.get(incoming.url ?? '')
      if (found === undefined) return void response.writeHead(404).end('not here')
      response.writeHead(200, { 'content-length': found.length, etag: '"one"' })
      response.end(found)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => upstream.once('listening', resolve))
    mirror = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/debian`
  })

  afterEach(async () => {
    await proxy.close()
    upstream.closeAllConnections()
    upstream.close()
  })

  /** Asks as a program does that has a proxy: by the whole URL. */
  const ask = (
    url: string,
    method = 'GET',
  ): Promise<{ status: number; body: string; headers: IncomingMessage['headers'] }> =>
    new Promise((resolve, reject) => {
      httpRequest({ host: '127.0.0.1', port: proxy.port, path: url, method }, (response) => {
        const { statusCode: status = 0, headers } = response
        text(response).then((body) => resolve({ status, body, headers }), reject)
      })
        .on('error', reject)
        .end()
    })

  it('hands a package on, and keeps it as apt does', async () => {
    await start()
    expect(await ask(`${mirror}/${path}`)).toMatchObject({ status: 200, body: content })
    await proxy.close()
    expect(readFileSync(below('packages', archiveName), 'utf8')).toBe(content)
    expect(existsSync(below('work'))).toBe(false)
    expect(answers).toEqual([{ url: `${mirror}/${path}`, status: 200, origin: 'mirror' }])
  })

  it('answers with a package that it has, and does not ask the mirror', async () => {
    await start()
    writeFileSync(below('packages', archiveName), content)
    expect(await ask(`${mirror}/${path}`)).toMatchObject({
      status: 200,
      body: content,
      headers: { 'content-length': `${content.length}` },
    })
    expect(await ask(`${mirror}/${path.replaceAll('+', '%2B')}`)).toMatchObject({
      status: 200,
      body: content,
    })
    expect(await ask(`${mirror}/${path}`, 'HEAD')).toMatchObject({ status: 200, body: '' })
    expect(asked).toEqual([])
    expect(answers.map(({ origin }) => origin)).toEqual(['cache', 'cache', 'cache'])
  })

  it.each([
    ['cut short', content.slice(1000)],
    ['another', randomBytes(300_000).toString('hex')],
  ])('asks the mirror when the package that it has is %s, and has a whole one then', async (_, damaged) => {
    await start()
    writeFileSync(below('packages', archiveName), damaged)
    expect((await ask(`${mirror}/${path}`)).body).toBe(content)
    await proxy.close()
    expect(readFileSync(below('packages', archiveName), 'utf8')).toBe(content)
  })

  it('does not keep what is not the package that the index lists', async () => {
    files.set(`/debian/${path}`, content.replace(/^./, 'x'))
    await start()
    expect((await ask(`${mirror}/${path}`)).status).toBe(200)
    await proxy.close()
    expect(readdirSync(below('packages'))).toEqual([])
  })

  it('does not keep what no index lists', async () => {
    files.set('/debian/dists/trixie/InRelease', 'signed')
    files.set('/debian/pool/new_1_all.deb', 'new')
    await start()
    expect(await ask(`${mirror}/dists/trixie/InRelease`)).toMatchObject({
      body: 'signed',
      headers: { etag: '"one"', 'content-length': '6' },
    })
    expect((await ask(`${mirror}/pool/new_1_all.deb`)).body).toBe('new')
    await proxy.close()
    expect(readdirSync(below('packages'))).toEqual([])
  })

  it('says what the mirror says of what it does not have', async () => {
    await start()
    expect(await ask(`${mirror}/dists/nosuch/InRelease`)).toMatchObject({ status: 404, body: 'not here' })
    expect(answers).toEqual([{ url: `${mirror}/dists/nosuch/InRelease`, status: 404, origin: 'mirror' }])
  })

  it('hands a package on that it has no room to keep', async () => {
    await start()
    mkdirSync(below('work', archiveName))
    expect((await ask(`${mirror}/${path}`)).body).toBe(content)
    await proxy.close()
    expect(existsSync(below('packages', archiveName))).toBe(false)
  })

  it('tells of a mirror that is down, with its fault', async () => {
    mirror = 'http://127.0.0.1:2/debian'
    await start()
    const { status, body } = await ask(`${mirror}/dists/trixie/InRelease`)
    expect(status).toBe(502)
    expect(body).toContain('ECONNREFUSED')
    expect(answers).toMatchObject([
      { status: 502, origin: 'mirror', fault: expect.stringContaining('127.0.0.1:2') },
    ])
  })

  it('breaks off where the mirror does, and keeps nothing of it', async () => {
    upstream.removeAllListeners('request')
    upstream.on('request', (_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.slice(0, 100_000), () => setTimeout(() => response.destroy(), 50))
    })
    await start()
    await expect(ask(`${mirror}/${path}`)).rejects.toThrow('aborted')
    await vi.waitFor(() =>
      expect(answers).toMatchObject([{ status: 200 }, { status: 502, origin: 'mirror' }]),
    )
    await proxy.close()
    expect(readdirSync(below('packages'))).toEqual([])
    expect(existsSync(below('work'))).toBe(false)
  })

  it('says nothing of a guest that hangs up', async () => {
    files.set(`/debian/${path}`, content)
    await start()
    await new Promise<void>((resolve, reject) => {
      httpRequest({ host: '127.0.0.1', port: proxy.port, path: `${mirror}/${path}` }, (response) => {
        response.once('data', () => response.destroy()).once('close', resolve)
      })
        .on('error', reject)
        .end()
    })
    // What comes after it is answered.
    expect((await ask(`${mirror}/dists/nosuch`)).status).toBe(404)
    expect(answers.filter(({ fault }) => fault !== undefined)).toEqual([])
  })

  it('leaves nothing half done when it is closed', async () => {
    upstream.removeAllListeners('request')
    const begun = new Promise<void>((resolve) => {
      upstream.on('request', (_, response) => {
        response.writeHead(200, { 'content-length': content.length })
        response.write(content.slice(0, 100_000), () => resolve())
      })
    })
    await start()
    const answered = expect(ask(`${mirror}/${path}`)).rejects.toThrow()
    await begun
    await proxy.close()
    await answered
    expect(readdirSync(below('packages'))).toEqual([])
    expect(existsSync(below('work'))).toBe(false)
  })

  it.each([
    ['another host', 'GET', 'http://127.0.0.1:2/debian/x', 403],
    ['a URL with a password', 'GET', 'http://a:b@HOST/debian/x', 403],
    ['itself', 'GET', '/debian/x', 403],
    ['another protocol', 'GET', 'ftp://HOST/debian/x', 403],
    ['an upload', 'PUT', 'http://HOST/debian/x', 405],
  ])('leads to the mirror alone, and not to %s', async (_, method, url, status) => {
    await start()
    expect((await ask(url.replace('HOST', new URL(mirror).host), method)).status).toBe(status)
    expect(asked).toEqual([])
    expect(answers).toMatchObject([{ status, origin: 'proxy' }])
  })

  it("leads to the hosts of a site's own answers as well", async () => {
    files.set('/local/InRelease', 'own')
    const own = new URL(mirror).host
    await start({ mirror: 'http://127.0.0.1:2/debian', otherHosts: [own] })
    expect(await ask(`http://${own}/local/InRelease`)).toMatchObject({ status: 200, body: 'own' })
  })

  it('makes no tunnels', async () => {
    await start()
    const connect = new Promise((resolve, reject) => {
      httpRequest({ host: '127.0.0.1', port: proxy.port, path: new URL(mirror).host, method: 'CONNECT' })
        .on('connect', resolve)
        .on('error', reject)
        .end()
    })
    await expect(connect).rejects.toThrow('socket hang up')
  })

  it('goes by https where the mirror does, though the guest does not', async () => {
    let firstByte: number | undefined
    const tls: PlainServer = createPlainServer((socket) => {
      socket.once('data', (data) => {
        firstByte = data[0]
        socket.destroy()
      })
      socket.on('error', () => undefined)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => tls.once('listening', resolve))
    const host = `127.0.0.1:${(tls.address() as AddressInfo).port}`
    await start({ mirror: `https://${host}/debian` })
    expect((await ask(`http://${host}/debian/dists/trixie/InRelease`)).status).toBe(502)
    // Of a TLS handshake.
    expect(firstByte).toBe(0x16)
    tls.close()
  })

  it('listens on the loopback address alone', async () => {
    await start()
    await expect(
      new Promise((resolve, reject) => {
        // Another address of this machine's loopback network.
        httpRequest({ host: '127.0.0.2', port: proxy.port, path: `${mirror}/x` }, resolve)
          .on('error', reject)
          .end()
      }),
    ).rejects.toThrow('ECONNREFUSED')
  })
})

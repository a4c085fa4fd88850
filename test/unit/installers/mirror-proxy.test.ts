import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createPlainServer,
  type Server as PlainServer,
} from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type MirrorProxy,
  type MirrorProxyOptions,
  type ProxyAnswer,
  startMirrorProxy,
} from '../../../src/installers/debian-installer/mirror-proxy.ts'
import { useFolder } from '../../support/folder.ts'

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
  let faults: string[]

  const start = async (changed: Partial<MirrorProxyOptions> = {}) => {
    proxy = await startMirrorProxy({
      mirror,
      otherHosts: [],
      packages: {
        index: packageIndex,
        folder: below('packages'),
        workFolder: below('work'),
        onFault: (text) => faults.push(text),
      },
      onAnswer: (answer) => answers.push(answer),
      ...changed,
    })
  }

  beforeEach(async () => {
    asked = []
    answers = []
    faults = []
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

  /** The mirror sends half of everything, and the rest when it is told to. */
  const sendHalf = () => {
    const rests: (() => void)[] = []
    upstream.removeAllListeners('request')
    upstream.on('request', (incoming, response) => {
      asked.push(incoming.url ?? '')
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.slice(0, 100_000))
      rests.push(() => response.end(content.slice(100_000)))
    })
    return () => {
      for (const send of rests) send()
    }
  }

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
    mkdirSync(below('work', `1-${archiveName}`))
    expect((await ask(`${mirror}/${path}`)).body).toBe(content)
    await proxy.close()
    expect(existsSync(below('packages', archiveName))).toBe(false)
    expect(faults).toEqual([expect.stringContaining(`${archiveName} is not kept: EEXIST`)])
  })

  it('hands a package on where its cache has gone, and says why it is not kept', async () => {
    await start()
    rmSync(below('packages'), { recursive: true })
    expect((await ask(`${mirror}/${path}`)).body).toBe(content)
    await proxy.close()
    expect(faults).toEqual([expect.stringContaining('is not kept: ENOENT')])
  })

  it('keeps a package that two ask for at once, and one that has given up before', async () => {
    const sendTheRest = sendHalf()
    await start()
    const both = [ask(`${mirror}/${path}`), ask(`${mirror}/${path}`)]
    const givenUp = connect(proxy.port, '127.0.0.1', () =>
      givenUp.write(`GET ${mirror}/${path} HTTP/1.1\r\nHost: x\r\n\r\n`, () => givenUp.destroy()),
    )
    await Promise.all([once(givenUp, 'close'), expect.poll(() => asked.length).toBeGreaterThan(1)])
    sendTheRest()
    expect((await Promise.all(both)).map(({ body }) => body)).toEqual([content, content])
    await proxy.close()
    expect(readFileSync(below('packages', archiveName), 'utf8')).toBe(content)
    expect(faults).toEqual([])
  })

  it('answers one request of a connection, since those behind it would not learn that their guest has gone', async () => {
    const sendTheRest = sendHalf()
    await start()
    const guest = connect(proxy.port, '127.0.0.1')
    const request = `GET ${mirror}/${path} HTTP/1.1\r\nHost: x\r\n\r\n`
    const begun = new Promise((resolve) => guest.once('data', resolve))
    guest.write(request.repeat(5))
    expect(`${await begun}`).toMatch(/^HTTP\/1.1 200 OK\r\n(.*\r\n)*Connection: close\r\n/i)
    guest.destroy()
    sendTheRest()
    await proxy.close()
    expect(asked).toHaveLength(1)
  })

  it('asks the mirror no longer for what its guest has given up', async () => {
    const ended = new Promise<void>((resolve) => {
      upstream.removeAllListeners('request')
      upstream.on('request', (_, response) => response.once('close', resolve))
    })
    const reached = new Promise((resolve) => upstream.once('request', resolve))
    await start()
    const guest = connect(proxy.port, '127.0.0.1')
    guest.write(`GET ${mirror}/${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await reached
    guest.destroy()
    await ended
    expect(answers).toEqual([])
  })

  it('hands on what the mirror sends as it is, packed or not', async () => {
    const packed = gzipSync('x'.repeat(100_000))
    upstream.removeAllListeners('request')
    upstream.on('request', (incoming, response) => {
      asked.push(`${incoming.headers['cache-control']} ${incoming.headers['user-agent']}`)
      const date = 'Mon, 02 Nov 2026 00:00:00 GMT'
      const headers = { 'content-encoding': 'x-gzip', 'content-length': packed.length, 'last-modified': date }
      response.writeHead(200, headers).end(packed)
    })
    await start()
    const sent = await new Promise<readonly [IncomingMessage, Buffer]>((resolve, reject) => {
      const headers = { 'cache-control': 'max-age=0', 'user-agent': 'Debian APT' }
      const target = `${mirror}/dists/trixie/main/binary-amd64/Packages.gz`
      httpRequest({ host: '127.0.0.1', port: proxy.port, path: target, headers }, (response) => {
        buffer(response).then((body) => resolve([response, body]), reject)
      }).end()
    })
    expect(sent[1].equals(packed)).toBe(true)
    expect(sent[0].headers).toMatchObject({
      'content-encoding': 'x-gzip',
      'last-modified': 'Mon, 02 Nov 2026 00:00:00 GMT',
    })
    expect(asked).toEqual(['max-age=0 Debian APT'])
  })

  it('follows where the mirror leads to, and keeps what it gets there', async () => {
    upstream.removeAllListeners('request')
    upstream.on('request', (incoming, response) => {
      if (incoming.url === '/debian/elsewhere') return void response.end(content)
      response.writeHead(302, { location: '/debian/elsewhere' }).end()
    })
    await start()
    expect((await ask(`${mirror}/${path}`)).body).toBe(content)
    await proxy.close()
    expect(readFileSync(below('packages', archiveName), 'utf8')).toBe(content)
  })

  it.each([
    ['another host', 'http://127.0.0.2:1/debian/x'],
    ['another port', 'http://127.0.0.1:1/debian/x'],
    ['what lies beside it', '/secret'],
    ['what lies above it', '/debian/..%2fsecret'],
    ['another protocol', 'file:///etc/passwd'],
    ['nothing that is a URL', 'http://['],
    ['itself, without end', `/debian/${path}`],
  ])('does not follow a mirror that leads to %s', async (_, location) => {
    upstream.removeAllListeners('request')
    upstream.on('request', (incoming, response) => {
      asked.push(incoming.url ?? '')
      response.writeHead(302, { location }).end('there')
    })
    await start()
    const { status, body } = await ask(`${mirror}/${path}`)
    expect({ status, body }).toMatchObject({ status: 502, body: expect.stringContaining('it redirects ') })
    expect(asked.filter((url) => url !== `/debian/${path}`)).toEqual([])
    expect(answers).toMatchObject([{ status: 502, origin: 'mirror', fault: expect.any(String) }])
  })

  it('keeps nothing that would lie elsewhere', async () => {
    const evil = packageIndex.replace('Package: acpid', 'Package: ../acpid')
    await start({
      packages: {
        index: evil,
        folder: below('packages'),
        workFolder: below('work'),
        onFault: () => undefined,
      },
    })
    expect((await ask(`${mirror}/${path}`)).body).toBe(content)
    await proxy.close()
    expect(existsSync(below(archiveName)) || existsSync(below('packages', archiveName))).toBe(false)
  })

  it.each([
    ['a host in capitals', (url: string) => url.replace('http://', 'HTTP://')],
    ['a slash too many', (url: string) => url.replace('/pool', '//pool')],
  ])('finds a package by %s', async (_, change) => {
    await start()
    writeFileSync(below('packages', archiveName), content)
    expect((await ask(change(`${mirror}/${path}`))).body).toBe(content)
    expect(asked).toEqual([])
  })

  it('hands a path on that is none', async () => {
    await start()
    expect((await ask(`${mirror}/%zz.deb`)).status).toBe(404)
    expect(answers).toMatchObject([{ status: 404, origin: 'mirror' }])
  })

  it('keeps no page that says that a package is not there, and tells of a mirror that is at fault', async () => {
    files.clear()
    await start()
    expect((await ask(`${mirror}/${path}`)).status).toBe(404)
    upstream.removeAllListeners('request')
    upstream.on('request', (_, response) => response.writeHead(503).end('busy'))
    expect((await ask(`${mirror}/${path}`)).status).toBe(503)
    await proxy.close()
    expect(readdirSync(below('packages'))).toEqual([])
    expect(answers).toMatchObject([
      { status: 404, fault: undefined },
      { status: 503, origin: 'mirror', fault: 'HTTP 503' },
    ])
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
    sendHalf()
    await start()
    const asking = expect(ask(`${mirror}/${path}`)).rejects.toThrow(/aborted|hang up/)
    await expect.poll(() => answers).toMatchObject([{ status: 200 }])
    upstream.closeAllConnections()
    await asking
    await expect.poll(() => answers).toMatchObject([{ status: 200 }, { status: 502, origin: 'mirror' }])
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
    ['a URL with a password alone', 'GET', 'http://:b@HOST/debian/x', 403],
    ['what lies beside it', 'GET', 'http://HOST/secret', 403],
    ['what lies above it', 'GET', 'http://HOST/debian/../secret', 403],
    ['what a server finds above it', 'GET', 'http://HOST/debian/..%2fsecret', 403],
    ['the same with other letters', 'GET', 'http://HOST/debian/a/%2E%2e%5Csecret', 403],
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
    const tunnel = new Promise((resolve, reject) => {
      httpRequest({ host: '127.0.0.1', port: proxy.port, path: new URL(mirror).host, method: 'CONNECT' })
        .on('connect', resolve)
        .on('error', reject)
        .end()
    })
    await expect(tunnel).rejects.toThrow('socket hang up')
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

/**
 * The way from the installer's guest to its mirror: an HTTP proxy on the loopback address. It answers with packages that
 * were downloaded before, keeps those that were not, and goes to the mirror as this host does, by the environment's proxy
 * and by https where the mirror's address says so. The guest judges what it gets by signatures, as without a proxy.
 */

import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { sha256File } from '../../digest.ts'
import { PipelineError } from '../../errors.ts'
import { request } from '../../install/fetch.ts'
import { findListedFile, type ListedPackage } from '../../install/listed-package.ts'

export interface MirrorProxyOptions {
  /** The mirror, e.g. `https://deb.debian.org/debian`. The guest names it by `http`, whatever it is. */
  readonly mirror: string
  /** Hosts beside the mirror's that a guest may ask, as `name` or `name:port`. */
  readonly otherHosts: readonly string[]
  /** Text of the mirror's proved indexes: packages that stand there are kept. */
  readonly packageIndex: string
  /** Folder of packages by apt's names, as the other installer fills it. */
  readonly packageCache: string
  /** Folder for what is not whole yet, on the same filesystem. */
  readonly workFolder: string
  /** Of every answer, a line. */
  readonly onAnswer: (answer: ProxyAnswer) => void
}

export interface ProxyAnswer {
  readonly url: string
  readonly status: number
  readonly origin: 'cache' | 'mirror' | 'proxy'
  /** Why there was none from the mirror. */
  readonly fault?: string | undefined
}

export interface MirrorProxy {
  /** TCP port on the loopback address. */
  readonly port: number
  /** Ends what is under way, and removes what is not whole. */
  readonly close: () => Promise<void>
}

/** Starts it on a port that is free. */
export async function startMirrorProxy(options: MirrorProxyOptions): Promise<MirrorProxy> {
  await mkdir(options.packageCache, { recursive: true })
  await mkdir(options.workFolder, { recursive: true })
  const closing = new AbortController()
  const underWay = new Set<Promise<void>>()
  const server = createServer((incoming, response) => {
    const answered = answer(incoming, response, options, closing.signal).finally(() =>
      underWay.delete(answered),
    )
    underWay.add(answered)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      closing.abort()
      server.close()
      server.closeAllConnections()
      await Promise.all(underWay)
      await rm(options.workFolder, { recursive: true, force: true })
    },
  }
}

/** Answers one request; whatever happens is told to the guest or ends its connection. */
async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  options: MirrorProxyOptions,
  signal: AbortSignal,
): Promise<void> {
  const asked = incoming.url ?? ''
  const refuse = (status: number, origin: ProxyAnswer['origin'], fault: string) => {
    options.onAnswer({ url: asked, status, origin, fault })
    if (response.headersSent) response.destroy()
    else response.writeHead(status, { 'content-type': 'text/plain' }).end(`${fault}\n`)
  }
  const { method } = incoming
  if (method !== 'GET' && method !== 'HEAD') return refuse(405, 'proxy', `${method} is not answered here`)
  const url = upstreamOf(asked, options)
  if (url === undefined) return refuse(403, 'proxy', 'only the mirror is reached through here')
  try {
    const listed = findPackage(url, options)
    const kept = listed === undefined ? undefined : join(options.packageCache, listed.archiveName)
    if (listed !== undefined && kept !== undefined && (await isWhole(kept, listed))) {
      options.onAnswer({ url: asked, status: 200, origin: 'cache' })
      response.writeHead(200, { 'content-length': listed.size })
      if (method === 'HEAD') return void response.end()
      return await pipeline(createReadStream(kept), response, { signal })
    }
    const { status, headers, body } = await request(url, method, signal)
    options.onAnswer({ url: asked, status, origin: 'mirror' })
    response.writeHead(status, pick(headers))
    if (method === 'HEAD' || body === null) return void response.end()
    const source = Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])
    if (listed === undefined || kept === undefined || status !== 200) {
      return await pipeline(source, response, { signal })
    }
    await keepWhilePassing(source, response, { ...listed, kept, folder: options.workFolder, signal })
  } catch (cause) {
    // Its own end, and a guest that hangs up, are nothing to tell of.
    if (signal.aborted || isHungUp(cause)) response.destroy()
    else refuse(502, 'mirror', describe(cause))
  }
}

/** What the guest asks for, as this host asks for it; undefined for what it has no business with. */
function upstreamOf(asked: string, { mirror, otherHosts }: MirrorProxyOptions): string | undefined {
  const url = URL.canParse(asked) ? new URL(asked) : undefined
  if (url === undefined || url.protocol !== 'http:' || url.username !== '') return undefined
  const own = new URL(mirror)
  if (url.host === own.host) return `${own.protocol}//${own.host}${url.pathname}${url.search}`
  return otherHosts.includes(url.host) ? url.href : undefined
}

/** The package of the mirror that a URL is of, where it is one that can be kept. */
function findPackage(url: string, options: MirrorProxyOptions): ListedPackage | undefined {
  if (!url.startsWith(`${options.mirror}/`) || !url.endsWith('.deb')) return undefined
  const path = decodeURIComponent(url.slice(options.mirror.length + 1))
  const listed = findListedFile(options.packageIndex, path)
  return listed !== undefined && /^[\w.+~%-]+$/.test(listed.archiveName) ? listed : undefined
}

async function isWhole(file: string, { sha256 }: ListedPackage): Promise<boolean> {
  return sha256File(file).then(
    (found) => found === sha256,
    () => false,
  )
}

interface Passing extends ListedPackage {
  /** Path that the package gets when it is proved. */
  readonly kept: string
  readonly folder: string
  readonly signal: AbortSignal
}

/** Hands a package on, and keeps it when it is what the index says. That it can't be kept is no reason not to hand it on. */
async function keepWhilePassing(source: Readable, response: ServerResponse, passing: Passing): Promise<void> {
  const partial = join(passing.folder, passing.archiveName)
  const file = createWriteStream(partial)
  let isWritable = true
  file.on('error', () => {
    isWritable = false
  })
  const closed = new Promise<void>((resolve) => {
    file.once('close', resolve)
  })
  const hash = createHash('sha256')
  const copied = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      hash.update(chunk)
      if (isWritable && !file.write(chunk)) {
        await Promise.race([closed, new Promise((resolve) => file.once('drain', resolve))])
      }
      yield chunk
    }
  }
  try {
    await pipeline(source, copied, response, { signal: passing.signal })
  } finally {
    file.end()
    await closed
    const isKept = isWritable && response.writableFinished && hash.digest('hex') === passing.sha256
    await (isKept ? rename(partial, passing.kept) : rm(partial, { force: true })).catch(() => undefined)
  }
}

function isHungUp(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_STREAM_PREMATURE_CLOSE'
}

/** Headers that an installer and apt go by. */
function pick(headers: Headers): Record<string, string> {
  const names = ['content-length', 'content-type', 'last-modified', 'etag']
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers.get(name)
      return value === null ? [] : [[name, value]]
    }),
  )
}

function describe(cause: unknown): string {
  if (cause instanceof PipelineError) return cause.message
  return cause instanceof Error ? cause.message : String(cause)
}

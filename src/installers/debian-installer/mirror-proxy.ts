/**
 * The installer's connection to its mirror: an HTTP proxy on the loopback address. It serves cached packages, keeps new ones,
 * and reaches the mirror as this host does: through the environment's proxy, and by https if the mirror's URL says so. The
 * guest checks signatures itself, as it would without a proxy.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../../errors.ts'
import { request, type StreamedAnswer, type StreamedRequest } from '../../host/http.ts'
import { openToRead } from '../../host/regular-file.ts'
import { hasLogin } from '../../redact.ts'
import { openPackageCache, type PackageCache, type PackageCacheOptions } from './package-cache.ts'

export interface MirrorProxyOptions {
  /** The mirror, e.g. `https://deb.debian.org/debian`. The guest always uses `http` in its URL. */
  readonly mirror: string
  /** Other hosts that a guest may reach, as `name` or `name:port`. */
  readonly otherHosts: readonly string[]
  readonly packages: PackageCacheOptions
  readonly onAnswer: (answer: ProxyAnswer) => void
}

export interface ProxyAnswer {
  readonly url: string
  readonly status: number
  readonly origin: 'cache' | 'mirror' | 'proxy'
  /** What is wrong with the mirror or the connection to it; a missing file is not a fault. */
  readonly fault?: string | undefined
}

export interface MirrorProxy {
  /** TCP port on the loopback address. */
  readonly port: number
  /** Ends transfers in progress, and removes incomplete files. */
  readonly close: () => Promise<void>
}

/** Starts it on a free port. */
export async function startMirrorProxy(options: MirrorProxyOptions): Promise<MirrorProxy> {
  const packages = await openPackageCache(options.packages)
  const closing = new AbortController()
  const underWay = new Set<Promise<void>>()
  const server = createServer((incoming, response) => {
    const answered = answer({ ...options, cache: packages }, incoming, response, closing.signal)
    underWay.add(answered)
    answered.finally(() => underWay.delete(answered))
  })
  // Otherwise apt pipelines ten requests, and a response queued behind another never notices that its guest is gone.
  server.maxRequestsPerSocket = 1
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
      await packages.close()
    },
  }
}

type Way = Pick<MirrorProxyOptions, 'mirror' | 'otherHosts' | 'onAnswer'> & { readonly cache: PackageCache }

/** Answers one request. Reports failures to the guest, or ends its connection. */
async function answer(
  way: Way,
  incoming: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const { cache, onAnswer } = way
  const { method, url: asked = '' } = incoming
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const signal = AbortSignal.any([closing, gone.signal])
  const refuse = (status: number, origin: ProxyAnswer['origin'], fault: string) => {
    onAnswer({ url: asked, status, origin, fault })
    if (response.headersSent) response.destroy()
    else response.writeHead(status, { 'content-type': 'text/plain' }).end(`${fault}\n`)
  }
  if (method !== 'GET' && method !== 'HEAD') return refuse(405, 'proxy', `${method} is not answered here`)
  const target = findTarget(asked, way)
  if (target === undefined) return refuse(403, 'proxy', 'only the mirror is reached through here')
  /** Why the mirror broke off. A guest that hangs up also ends the transfer, but that is not a fault. */
  let brokenOff: unknown
  try {
    const listed = target.path === undefined ? undefined : cache.find(target.path)
    const kept = listed === undefined ? undefined : await cache.get(listed)
    if (listed !== undefined && kept !== undefined) {
      onAnswer({ url: asked, status: 200, origin: 'cache' })
      response.writeHead(200, { 'content-length': listed.size })
      if (method === 'HEAD') return void response.end()
      return await pipeline((await openToRead(kept)).createReadStream(), response, { signal })
    }
    const { status, headers, body } = await requestWithin(target, {
      method,
      headers: pick(incoming.headers, requestHeaders),
      signal,
    })
    onAnswer({ url: asked, status, origin: 'mirror', fault: isFault(status) ? `HTTP ${status}` : undefined })
    response.writeHead(status, pick(headers, responseHeaders))
    const passing = watchEnd(body, (cause) => {
      if (!signal.aborted) brokenOff = cause
    })
    const isKept = method === 'GET' && status === 200 && listed !== undefined
    await pipeline(isKept ? cache.keep(listed, passing) : passing, response, { signal })
  } catch (cause) {
    if (brokenOff === undefined && signal.aborted) response.destroy()
    else refuse(502, 'mirror', messageOf(brokenOff ?? cause))
  }
}

async function* watchEnd(body: AsyncIterable<Uint8Array>, onBroken: (cause: unknown) => void) {
  try {
    yield* body
  } catch (cause) {
    onBroken(cause)
    throw cause
  }
}

const redirections: readonly number[] = [301, 302, 303, 307, 308]
const mostRedirections = 5

/** Follows the mirror's redirections, but only to targets that the guest itself could request. */
async function requestWithin(target: Target, options: StreamedRequest): Promise<StreamedAnswer> {
  let { url } = target
  for (let hops = 0; hops <= mostRedirections; hops += 1) {
    const answer = await request(url, options, false)
    const { location } = answer.headers
    if (!redirections.includes(answer.status) || typeof location !== 'string') return answer
    await answer.body[Symbol.asyncIterator]().return?.()
    const next = URL.canParse(location, url) ? new URL(location, url) : undefined
    if (next === undefined || !target.mayLeadTo(next)) {
      throw new Error(
        `it redirects to ${next?.href ?? location}, which is not below it; name that mirror instead`,
      )
    }
    url = next.href
  }
  throw new Error(`it redirects too often, last to ${url}`)
}

interface Target {
  /** URL as this host requests it. */
  readonly url: string
  /** Whether the mirror may redirect there. */
  readonly mayLeadTo: (url: URL) => boolean
  /** Path below the mirror; undefined for another host. */
  readonly path: string | undefined
}

/** What the guest asks for; undefined if that is not allowed. */
function findTarget(asked: string, { mirror, otherHosts }: Way): Target | undefined {
  const url = URL.canParse(asked) ? new URL(asked) : undefined
  if (url === undefined || url.protocol !== 'http:' || hasLogin(url)) return undefined
  const own = new URL(mirror)
  const root = own.pathname.replace(/\/+$/, '')
  // Installers join paths with one slash too many.
  const pathname = url.pathname.replaceAll(/\/{2,}/g, '/')
  if (url.host === own.host && isBelow(pathname, root)) {
    return {
      url: `${own.protocol}//${own.host}${pathname}${url.search}`,
      path: decode(pathname.slice(root.length + 1)),
      // Mirrors redirect from http to https.
      mayLeadTo: (next) =>
        isWeb(next) && [own.host, own.hostname].includes(next.host) && isBelow(next.pathname, root),
    }
  }
  if (!otherHosts.includes(url.host)) return undefined
  return { url: url.href, path: undefined, mayLeadTo: (next) => isWeb(next) && next.host === url.host }
}

const isWeb = ({ protocol }: URL) => protocol === 'http:' || protocol === 'https:'

/** Servers decode a path before they resolve it; `URL` does not. */
function isBelow(pathname: string, root: string): boolean {
  const decoded = pathname.replaceAll(/%2e/gi, '.').replaceAll(/%2f|%5c|\\/gi, '/')
  return pathname.startsWith(`${root}/`) && !decoded.split('/').includes('..')
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/** A failure of the server itself, or of a proxy on the way. */
function isFault(status: number): boolean {
  return status >= 500 || status === 407
}

/** Passed on, since the guest decides whether a cached copy will do. */
const requestHeaders = ['cache-control', 'if-modified-since', 'pragma', 'user-agent']
const responseHeaders = ['content-encoding', 'content-length', 'content-type', 'etag', 'last-modified']

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

function pick(headers: Headers, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name]
      return typeof value === 'string' ? [[name, value]] : []
    }),
  )
}

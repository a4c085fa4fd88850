/** Serves a package set to apt, as an HTTP proxy in place of its mirror. Requests never leave this host. */

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openToRead } from '../host/regular-file.ts'
import { fetchIndex } from './index-files.ts'
import { debOf, type PackageSet, type SetPackage } from './package-set.ts'
import { type ListedPackage, openIndex } from './packages-index.ts'
import { type ReleaseRequest, verifyRelease } from './release.ts'

export interface SetServer {
  /** Port on 127.0.0.1. */
  readonly port: number
  /** Packages that were requested but are not in the set. */
  readonly missing: () => readonly SetPackage[]
  readonly close: () => void
}

/**
 * @param archives of the image; the set must contain all of them
 * @throws PipelineError `packages-unfit`, or with a code that starts with `packages-`, `mirror-` or `keyring-`
 */
export async function startSetServer(
  { folder, source, content }: PackageSet,
  archives: readonly ReleaseRequest[],
  signal: AbortSignal,
): Promise<SetServer> {
  const files = new Map<string, Buffer>()
  const indexes: Index[] = []
  for (const request of archives) {
    const base = withoutScheme(request.url)
    const below = `${base}/dists/${request.suite}`
    const release = await verifyRelease(request, { signal, source })
    files.set(`${below}/InRelease`, await source.release(request))
    for (const component of request.components) {
      const text = await fetchIndex(request, release, component, { signal, source })
      if (text === undefined) continue
      files.set(`${below}/${component}/binary-${request.arch}/Packages`, text)
      indexes.push({ base, find: openIndex(text.toString('latin1')) })
    }
  }
  const held = new Map(content.packages.map((one) => [one.sha256, one]))
  const missing = new Map<string, SetPackage>()
  const server = createServer(({ url = '' }, answer) => {
    const path = withoutScheme(url)
    const bytes = files.get(path)
    if (bytes !== undefined) {
      answer.writeHead(200).end(bytes)
      return
    }
    const listed = path.endsWith('.deb') ? findListed(path, indexes) : undefined
    const known = listed === undefined ? undefined : held.get(listed.sha256)
    if (known !== undefined) {
      void sendFile(join(folder, debOf(known)), known.sizeBytes, answer)
      return
    }
    if (listed !== undefined && missing.size < mostMissing) missing.set(path, listed)
    answer.writeHead(404).end()
  })
  // Anyone on this host may ask: requests that are queued up are refused, and apt then opens another connection.
  server.maxRequestsPerSocket = 1
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    missing: () => [...missing].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

// --- internal ---

/** More packages than any image has. The limit is needed because anyone on this host can send requests. */
const mostMissing = 20_000

interface Index {
  /** URL of its archive, without the scheme. */
  readonly base: string
  /** The package at a path below it. */
  readonly find: (fileName: string) => ListedPackage | undefined
}

/** The package that an archive has signed for a URL. */
function findListed(path: string, indexes: readonly Index[]): SetPackage | undefined {
  for (const { base, find } of indexes) {
    if (!path.startsWith(`${base}/`)) continue
    const file = decodedPath(path.slice(base.length + 1))
    const listed = find(file)
    if (listed === undefined) continue
    const [name = '', version = '', architecture = ''] = listed.archiveName.replace(/\.deb$/, '').split('_')
    const { sha256, size: sizeBytes } = listed
    const url = `http://${base}/${file}`
    return { name, version: version.replaceAll('%3a', ':'), architecture, sha256, sizeBytes, url }
  }
  return undefined
}

/** Sends a file unverified: apt compares it with the index that it has verified. */
async function sendFile(path: string, sizeBytes: number, answer: ServerResponse): Promise<void> {
  try {
    const file = await openToRead(path)
    answer.writeHead(200, { 'content-length': sizeBytes })
    await pipeline(file.createReadStream(), answer)
  } catch {
    // The set is gone, or the client is.
    answer.destroy()
  }
}

/** A path with invalid escapes is not in any index either, so it is returned unchanged. */
function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function withoutScheme(url: string): string {
  return url.replace(/^https?:\/\//, '')
}

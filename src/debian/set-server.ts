/** Serves the signed lists of a package set to apt, as the HTTP proxy on the way to its mirror. Nothing else is reached. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fetchIndex } from './index-files.ts'
import type { PackageSet, SetPackage } from './package-set.ts'
import { findListedFile } from './packages-index.ts'
import { type ReleaseRequest, verifyRelease } from './release.ts'

export interface SetServer {
  /** `http://127.0.0.1:4711` */
  readonly url: string
  /** Packages that were asked for: those that the set has are never asked for. */
  readonly missing: () => readonly SetPackage[]
  readonly close: () => void
}

/**
 * @param archives of the image, all of which the set must have
 * @throws PipelineError `packages-unfit`, or with a code that begins with `packages-`, `mirror-` or `keyring-`
 */
export async function startSetServer(
  { source, content }: PackageSet,
  archives: readonly ReleaseRequest[],
  signal: AbortSignal,
): Promise<SetServer> {
  const files = new Map<string, Buffer>()
  const indexes: { readonly base: string; readonly text: string }[] = []
  for (const request of archives) {
    const base = withoutScheme(request.url)
    const below = `${base}/dists/${request.suite}`
    const release = await verifyRelease(request, { signal, source })
    files.set(`${below}/InRelease`, await source.release(request))
    for (const component of request.components) {
      const text = await fetchIndex(request, release, component, { signal, source })
      if (text === undefined) continue
      files.set(`${below}/${component}/binary-${request.arch}/Packages`, text)
      indexes.push({ base, text: text.toString('latin1') })
    }
  }
  const asked = new Set<string>()
  const server = createServer(({ url = '' }, answer) => {
    const path = withoutScheme(url)
    const bytes = files.get(path)
    if (bytes === undefined && path.endsWith('.deb') && asked.size < mostAsked) asked.add(path)
    answer.writeHead(bytes === undefined ? 404 : 200).end(bytes)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const describe = (path: string): SetPackage[] => {
    for (const { base, text } of indexes) {
      const file = decodedPath(path.slice(base.length + 1))
      const listed = path.startsWith(`${base}/`) ? findListedFile(text, file) : undefined
      if (listed === undefined) continue
      const [name = '', version = '', architecture = ''] = listed.archiveName.replace(/\.deb$/, '').split('_')
      const known = content.packages.find((one) => one.sha256 === listed.sha256)
      const url = known?.url ?? `http://${base}/${file}`
      return [
        {
          name,
          version: version.replaceAll('%3a', ':'),
          architecture,
          sha256: listed.sha256,
          sizeBytes: listed.size,
          url,
        },
      ]
    }
    return []
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    missing: () => [...asked].sort().flatMap(describe),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

// --- internal ---

/** More than any layer 0 has packages. Anyone on this host may ask. */
const mostAsked = 20_000

/** What is no escaped path is in no index either. */
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

/** An archive of a mirror's states in the style of snapshot.debian.org: any instant is answered with the state before it. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestMirror } from './mirror.ts'

export interface TestSnapshots {
  /** Command-line arguments for building from here, with `{snapshot}` in the URLs. */
  readonly words: readonly string[]
  readonly url: string
  /** Keeps what the mirror currently serves as the state at an instant, for one archive or for both. */
  readonly take: (instant: string, archives?: readonly ('debian' | 'debian-security')[]) => void
  /** Answers everything with this status from now on. */
  readonly refuse: (status: number) => void
  readonly close: () => void
}

export async function startSnapshots(mirror: TestMirror): Promise<TestSnapshots> {
  const states = { debian: new Map<string, Files>(), 'debian-security': new Map<string, Files>() }
  let refusal: number | undefined
  const server = createServer(({ url = '' }, answer) => {
    const [, archive, instant = '', path = ''] = /^\/archive\/([^/]+)\/([^/]+)\/(.*)$/.exec(url) ?? []
    const known = archive === 'debian' || archive === 'debian-security' ? states[archive] : new Map()
    const at = [...known.keys()]
      .filter((one) => one <= instant)
      .sort()
      .at(-1)
    if (refusal !== undefined || at === undefined) return answer.writeHead(refusal ?? 404).end()
    // Files are served at the requested URL; folders redirect to the state that they belong to.
    const isFolder = path === '' || path.endsWith('/')
    if (isFolder && at !== instant)
      return answer.writeHead(301, { location: `/archive/${archive}/${at}/${path}` }).end()
    const bytes = isFolder ? Buffer.from('a list of files') : known.get(at)?.get(path)
    return answer.writeHead(bytes === undefined ? 404 : 200).end(bytes)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/archive`
  return {
    url,
    words: [
      ...['debian', `${url}/debian/{snapshot}`, 'security', `${url}/debian-security/{snapshot}`],
      ...['keyring', mirror.keyring, 'snapshot', 'latest'],
    ].flatMap((word, index, all) => (index % 2 === 0 ? ['--set', `mirror.${word}=${all[index + 1]}`] : [])),
    take: (instant, archives = ['debian', 'debian-security']) => {
      for (const archive of archives) {
        const prefix = archive === 'debian' ? '/debian/' : '/security/'
        const files = [...mirror.all()].filter(([path]) => path.startsWith(prefix))
        states[archive].set(
          instant,
          new Map(files.map(([path, bytes]) => [path.slice(prefix.length), bytes])),
        )
      }
    },
    refuse: (status) => {
      refusal = status
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

// --- internal ---

/** Content by path. */
type Files = ReadonlyMap<string, Buffer>

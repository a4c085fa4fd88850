/** Whether a mirror serves what debian-installer is made of. */

import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { get } from './fetch.ts'
import {
  checkListed,
  parseFields,
  type ReleaseRequest,
  type VerifiedRelease,
  type VerifyOptions,
} from './release.ts'

/** Whether debian-installer could fetch its own packages from a mirror. */
export interface UdebProbe {
  readonly hasUdebs: boolean
  /** Names of probed udebs that the mirror does not serve; empty where `hasUdebs`. */
  readonly missing: readonly string[]
  /** Why, in one line. */
  readonly reason: string
}

/**
 * The installer's own packages that every installation of ours fetches. All of them are asked for: a mirror may list
 * udebs in a signed index, serve some of them and answer 404 for the rest.
 */
const neededUdebs: readonly string[] = [
  'apt-setup-udeb',
  'base-installer',
  'bootstrap-base',
  'clock-setup',
  'finish-install',
  'grub-installer',
  'libc6-udeb',
  'partman-auto',
  'partman-base',
  'partman-basicfilesystems',
  'partman-ext3',
  'partman-partitioning',
  'pkgsel',
  'user-setup-udeb',
]

/**
 * Asks a proven mirror for the udebs themselves. An index without them is an answer; only a mirror that cannot be
 * reached, or an index that is not what was signed, is an error.
 */
export async function probeUdebs(
  request: ReleaseRequest,
  release: VerifiedRelease,
  options: VerifyOptions = {},
): Promise<UdebProbe> {
  const path = `main/debian-installer/binary-${request.arch}/Packages.gz`
  const listed = release.files.get(path)
  if (listed === undefined) {
    return { hasUdebs: false, missing: neededUdebs, reason: 'the mirror has no index of udebs' }
  }
  const url = `${request.url}/dists/${request.suite}/${path}`
  const response = await get(url, 'GET', options.signal)
  if (response.status !== 200) {
    const reason = `the index of udebs answers HTTP ${response.status}`
    return { hasUdebs: false, missing: neededUdebs, reason }
  }
  checkListed(url, response.body, listed)
  const index = (await promisify(gunzip)(response.body)).toString('utf8')
  const fileNames = new Map(
    index.split('\n\n').map((stanza) => {
      const fields = parseFields(stanza)
      return [fields.get('Package'), fields.get('Filename')]
    }),
  )
  const answers = await Promise.all(
    neededUdebs.map(async (name) => {
      const file = fileNames.get(name)
      if (file === undefined) return name
      const { status } = await get(`${request.url}/${file}`, 'HEAD', options.signal)
      return status === 200 ? undefined : name
    }),
  )
  const missing = answers.filter((name) => name !== undefined)
  const served = neededUdebs.length - missing.length
  const reason =
    missing.length === 0
      ? `all ${served} udebs asked for are served`
      : `${missing.length} of ${neededUdebs.length} udebs asked for are not served: ${missing.join(', ')}`
  return { hasUdebs: missing.length === 0, missing, reason }
}

/** Whether a mirror serves debian-installer's own packages, the udebs. */

import type { ImageFacts } from '../../config/image.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { udebArchiveOf } from '../../debian/archives.ts'
import {
  checkListed,
  parseFields,
  type ReleaseRequest,
  type VerifiedRelease,
  type VerifyOptions,
  verifyRelease,
} from '../../debian/release.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { gunzip } from '../../host/gunzip.ts'
import { get, head } from '../../host/http.ts'
import type { Readiness } from '../installer.ts'

/** Whether debian-installer could fetch its own packages from a mirror. */
export interface UdebProbe {
  readonly hasUdebs: boolean
  /** Names of probed udebs that the mirror does not serve; empty if `hasUdebs`. */
  readonly missing: readonly string[]
  /** Why, in one line. */
  readonly reason: string
}

/**
 * The udebs that each of our installations fetches. The probe requests every one: a mirror may list udebs in a signed index,
 * serve some of them, and answer 404 for the rest.
 */
const neededUdebs: readonly string[] = [
  'apt-setup-udeb',
  'base-installer',
  'bootstrap-base',
  'clock-setup',
  'debootstrap-udeb',
  'e2fsprogs-udeb',
  'finish-install',
  'grub-installer',
  'libparted2-udeb',
  'partman-auto',
  'partman-base',
  'partman-basicfilesystems',
  'partman-ext3',
  'partman-partitioning',
  'pkgsel',
  'user-setup-udeb',
]

/**
 * Modules of the installer's kernel for its filesystem and its disk (virtio_blk is among the SCSI modules). The version is in
 * the name, and the newest matches the netboot images.
 */
const neededModules = ['ext4-modules', 'scsi-modules']

/** Packed and unpacked; Debian's indexes have 70 kB and 500 kB. */
const mostUdebIndexBytes = 16 * 1024 ** 2

/** The newest package with some kernel modules; the bare name if there is none. */
function newestModules(names: readonly string[], modules: string, arch: string): string {
  const ofKind = names.filter((name) => name.startsWith(`${modules}-`) && name.endsWith(`-${arch}-di`))
  return ofKind.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? modules
}

/** The alternatives to a mirror without udebs. */
export const udebAdvice =
  'use a mirror that serves .udeb files, name a suite that has them in mirror.udebs, boot a netinst disc with debianInstaller.iso, or install with: --installer bootstrap, which needs none.'

/** Whether installing an image takes udebs from its mirror: a disc brings its own. */
export function needsUdebs(image: Pick<ResolvedImage, 'installer' | 'debianInstaller'>): boolean {
  return image.installer === 'debian-installer' && image.debianInstaller.iso === undefined
}

/**
 * Whether debian-installer can get its own packages from an image's mirror.
 * @throws PipelineError with a code that begins with `mirror-` or `keyring-`
 */
export async function probeUdebsOf(
  image: Pick<ImageFacts, 'suite' | 'debianArch' | 'mirror'>,
  options: VerifyOptions = {},
): Promise<UdebProbe> {
  const request = udebArchiveOf(image)
  return probeUdebs(request, await verifyRelease(request, options), options)
}

/**
 * Requests the udebs themselves from a verified mirror. An index without them is a result; only an unreachable mirror, or an
 * index that does not match its signature, is an error.
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
  const response = await get(url, mostUdebIndexBytes, options.signal)
  if (response.status !== 200) {
    const reason = `the index of udebs answers HTTP ${response.status}`
    return { hasUdebs: false, missing: neededUdebs, reason }
  }
  checkListed(url, response.body, listed)
  const index = (await gunzip(response.body, mostUdebIndexBytes, url)).toString('utf8')
  const fileNames = new Map(
    index.split('\n\n').map((stanza) => {
      const fields = parseFields(stanza)
      return [fields.get('Package'), fields.get('Filename')]
    }),
  )
  const names = [...fileNames.keys()].filter((name) => name !== undefined)
  const modules = neededModules.map((kind) => newestModules(names, kind, request.arch))
  const needed = [...neededUdebs, ...modules]
  const answers = await Promise.all(
    needed.map(async (name) => {
      const file = fileNames.get(name)
      if (file === undefined) return name
      const status = await head(`${request.url}/${file}`, options.signal)
      return status === 200 ? undefined : name
    }),
  )
  const missing = answers.filter((name) => name !== undefined)
  const served = needed.length - missing.length
  const reason =
    missing.length === 0
      ? `all ${served} udebs asked for are served`
      : `${missing.length} of ${needed.length} udebs asked for are not served: ${missing.join(', ')}`
  return { hasUdebs: missing.length === 0, missing, reason }
}

/** The same for people; undefined if no udebs are needed. A refused mirror is a result too. */
export async function readinessOfUdebs(
  image: ResolvedImage,
  signal?: AbortSignal,
): Promise<Readiness | undefined> {
  if (!needsUdebs(image)) return undefined
  const probe = await probeUdebsOf(image, { signal }).catch((error: unknown) => {
    if (!(error instanceof PipelineError)) throw error
    return { hasUdebs: false, missing: [], reason: error.message }
  })
  const mirror = image.mirror.debian
  return {
    isFit: probe.hasUdebs,
    text: `${probe.hasUdebs ? 'can' : 'cannot'} run from ${mirror}: ${probe.reason}`,
    advice: udebAdvice,
    details: { udebs: { mirror, ...probe } },
  }
}

/**
 * Refuses a mirror without udebs, which the installer would only find out minutes later.
 * @throws PipelineError `installer-no-udebs`
 */
export async function requireUdebs(image: ResolvedImage, signal: AbortSignal): Promise<void> {
  if (!needsUdebs(image)) return
  const { hasUdebs, missing, reason } = await probeUdebsOf(image, { signal })
  if (hasUdebs) return
  throw new PipelineError({
    code: 'installer-no-udebs',
    message: `debian-installer cannot run from ${image.mirror.debian}: ${reason}`,
    hint: udebAdvice,
    exitCode: exitCodes.hostNotFit,
    details: { mirror: image.mirror.debian, missing },
  })
}

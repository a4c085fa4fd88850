/** A Debian netinst disc as the installer's medium: it has a kernel, an initrd and the matching udebs. */

import { join } from 'node:path'
import type { ImageFacts } from '../../config/image.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { runGpgv } from '../../debian/gpgv.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { canAccess, makeFolder, writeDurably } from '../../host/files.ts'
import { sha256File } from '../../host/hash-file.ts'
import { download, get, head } from '../../host/http.ts'
import { readIsoFile } from './iso9660.ts'
import type { InstallerMedium } from './netboot.ts'

export interface DiscRequest {
  readonly iso: NonNullable<ResolvedImage['debianInstaller']['iso']>
  readonly image: Pick<ImageFacts, 'debianArch'>
  /** Folder that keeps downloads. */
  readonly cacheFolder: string
  readonly onProgress: (text: string) => void
  readonly signal: AbortSignal
}

/** Debian's keys for discs, from the package `debian-keyring`. */
export const discKeyring = '/usr/share/keyrings/debian-role-keys.gpg'

/** More than the largest DVD. */
const mostDiscBytes = 16 * 1024 ** 3
/** For checksums and their signature. */
const mostListBytes = 1024 ** 2

/** The installer's folder on a disc, by Debian's architecture name. */
const folders = { amd64: 'install.amd', arm64: 'install.a64' } as const

/**
 * Downloads the disc and extracts its kernel and initrd. The disc is checked against the checksum in the configuration, and
 * against the signed list next to it if this host has Debian's keys for discs.
 * @throws PipelineError `disc-*`, `mirror-unreachable`
 */
export async function findDisc(request: DiscRequest): Promise<InstallerMedium> {
  const { iso, cacheFolder, onProgress, signal } = request
  const folder = join(cacheFolder, iso.sha256)
  const disc = join(folder, 'disc.iso')
  await makeFolder(folder)
  if ((await digestIfThere(disc, signal)) !== iso.sha256) {
    onProgress(`downloading ${iso.url}`)
    const url = await firstThere([iso.url, inArchive(iso.url)], signal)
    await requireSigned(url, iso.sha256, folder, onProgress, signal)
    const { sha256 } = await download(url, disc, mostDiscBytes, signal)
    if (sha256 !== iso.sha256) throw discDiffers(url, iso.sha256, sha256)
  }
  const kernel = await extract(disc, request, 'vmlinuz', join(folder, 'linux'))
  const initrd = await extract(disc, request, 'initrd.gz', join(folder, 'initrd.gz'))
  return { kernel, initrd, disc, source: iso.url }
}

/** A damaged disc is downloaded again. */
async function digestIfThere(disc: string, signal: AbortSignal): Promise<string | undefined> {
  return sha256File(disc, signal).catch(() => {
    signal.throwIfAborted()
    return undefined
  })
}

/** Where Debian moves the discs of a release once there is a newer one. */
export function inArchive(url: string): string {
  return url.replace(/\/debian-cd\/(?=\d)/, '/cdimage/archive/')
}

async function firstThere(urls: readonly string[], signal: AbortSignal): Promise<string> {
  for (const url of new Set(urls)) {
    if ((await head(url, signal)) === 200) return url
  }
  throw new PipelineError({
    code: 'disc-missing',
    message: `there is no disc ${urls[0]}, and none in the archive of older releases`,
    hint: 'give debianInstaller.iso the URL and the checksum of another disc.',
    exitCode: exitCodes.hostNotFit,
    details: { urls },
  })
}

/** The list must name the disc with its checksum, and Debian must have signed it. */
async function requireSigned(
  url: string,
  sha256: string,
  folder: string,
  onProgress: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const hasKeys = await canAccess(discKeyring)
  if (!hasKeys) {
    onProgress(`without ${discKeyring} (package debian-keyring) only its checksum verifies the disc`)
    return
  }
  const [checksums, signature] = await Promise.all(
    ['SHA256SUMS', 'SHA256SUMS.sign'].map(async (name) => {
      const { status, body } = await get(new URL(name, url).href, mostListBytes, signal)
      if (status !== 200) throw discUnsigned(url, `${name} answers HTTP ${status}`)
      await writeDurably(join(folder, name), body)
      return body.toString('utf8')
    }),
  )
  const name = new URL(url).pathname.split('/').at(-1)
  if (
    checksums === undefined ||
    signature === undefined ||
    !checksums.split('\n').includes(`${sha256}  ${name}`)
  ) {
    throw discUnsigned(url, 'its SHA256SUMS does not list it with that checksum')
  }
  const files = [join(folder, 'SHA256SUMS.sign'), join(folder, 'SHA256SUMS')]
  const { status, said, fault } = await runGpgv(discKeyring, ['--', ...files], { signal })
  const has = (keyword: string) => status.some(([first]) => first === keyword)
  if (!has('GOODSIG') || has('BADSIG') || has('ERROR')) throw discUnsigned(url, fault?.shortMessage ?? said)
}

async function extract(
  disc: string,
  { image, signal }: DiscRequest,
  name: string,
  to: string,
): Promise<string> {
  const path = `${folders[image.debianArch]}/${name}`
  const content = await readIsoFile(disc, path, signal)
  if (content === undefined) {
    throw new PipelineError({
      code: 'disc-unfit',
      message: `the disc ${disc} has no /${path}: it is not a debian-installer disc for ${image.debianArch}`,
      hint: 'give debianInstaller.iso a netinst disc of that architecture.',
      exitCode: exitCodes.badInput,
    })
  }
  await writeDurably(to, content)
  return to
}

function discDiffers(url: string, expected: string, found: string): PipelineError {
  return new PipelineError({
    code: 'disc-corrupt',
    message: `the disc ${url} is not what debianInstaller.iso says: sha256 ${found}; expected ${expected}`,
    hint: 'correct the checksum, or try again: the download may have been truncated.',
    exitCode: exitCodes.hostNotFit,
    details: { url, expected, found },
  })
}

function discUnsigned(url: string, why: string): PipelineError {
  return new PipelineError({
    code: 'disc-unsigned',
    message: `nothing proves that Debian made the disc ${url}: ${why}`,
    hint: 'use a disc from https://cdimage.debian.org, with the SHA256SUMS and SHA256SUMS.sign next to it.',
    exitCode: exitCodes.hostNotFit,
    details: { url },
  })
}

/** Where debian-installer's kernel and initrd come from. Nothing unverified is booted. */

import { createHash } from 'node:crypto'
import { constants, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { ImageFacts } from '../../config/image.ts'
import { mainArchiveOf } from '../../debian/archives.ts'
import { fetchIndex } from '../../debian/index-files.ts'
import { findListedPackage } from '../../debian/packages-index.ts'
import { fetchListed, type VerifiedRelease, verifyRelease } from '../../debian/release.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { bareEnvironment } from '../../host/bare-environment.ts'
import { parseChecksums } from '../../host/checksum-list.ts'
import { canAccess, makeFolder, temporaryName } from '../../host/files.ts'
import { get, head } from '../../host/http.ts'
import { runFile } from '../../host/process.ts'
import { readRegular } from '../../host/regular-file.ts'
import { writeFile } from '../../host/writing.ts'

/** What an installer is booted from. */
export interface InstallerMedium {
  readonly kernel: string
  readonly initrd: string
  /** A disc that has to be in the drive; absent for netboot files. */
  readonly disc?: string | undefined
  /** Where they come from, in words. */
  readonly source: string
}

export interface NetbootRequest {
  readonly image: Pick<ImageFacts, 'suite' | 'debianVersion' | 'debianArch' | 'mirror'>
  /** Folder that keeps downloads. */
  readonly cacheFolder: string
  readonly onProgress: (text: string) => void
  readonly signal: AbortSignal
  /** Where Debian's packages put netboot files; tests use their own folder. */
  readonly installedFolder?: string | undefined
}

/** Where the package `debian-installer-<N>-netboot-<arch>` puts its files. */
const installedImages = '/usr/lib/debian-installer/images'

/**
 * Finds netboot files: those of the installed package, else the mirror's own, else those in the mirror's package.
 * @throws PipelineError `installer-no-netboot`, and the codes for a refused mirror
 */
export async function findNetboot(request: NetbootRequest): Promise<InstallerMedium> {
  const installed = await findInstalled(request)
  if (installed !== undefined) return installed
  const { image, signal } = request
  const release = await verifyRelease(mainArchiveOf(image), { signal })
  const found = (await provideImages(request, release)) ?? (await fetchPackage(request, release))
  if (found === undefined) throw noNetboot(request)
  return found
}

/** Name of the package with a suite's netboot files. */
export function netbootPackage({ debianVersion, debianArch }: NetbootRequest['image']): string {
  return `debian-installer-${debianVersion}-netboot-${debianArch}`
}

// --- the installed package ---

async function findInstalled({
  image,
  installedFolder = installedImages,
}: NetbootRequest): Promise<InstallerMedium | undefined> {
  const folder = join(installedFolder, belowImages(image))
  const files = { kernel: join(folder, 'linux'), initrd: join(folder, 'initrd.gz') }
  const areThere = await Promise.all(Object.values(files).map((path) => canAccess(path, constants.R_OK)))
  return areThere.every(Boolean) ? { ...files, source: `package ${netbootPackage(image)}` } : undefined
}

function belowImages({ debianVersion, debianArch }: NetbootRequest['image']): string {
  return `${debianVersion}/${debianArch}/text/debian-installer/${debianArch}`
}

// --- the mirror's images ---

/** A kernel and an initrd take about 40 MB. */
export const mostNetbootBytes = 256 * 1024 ** 2

/** Undefined if the mirror lacks them, as many do that carry only packages. */
async function provideImages(
  request: NetbootRequest,
  release: VerifiedRelease,
): Promise<InstallerMedium | undefined> {
  const { image, signal, onProgress } = request
  const { debian } = image.mirror
  const folder = `main/installer-${image.debianArch}/current/images`
  const listed = release.files.get(`${folder}/SHA256SUMS`)
  const base = `${debian}/dists/${image.suite}/${folder}`
  if (listed === undefined || (await head(`${base}/SHA256SUMS`, signal)) !== 200) return undefined
  const checksums = parseChecksums(
    (await fetchListed(`${base}/SHA256SUMS`, listed, { signal })).toString('utf8'),
  )
  const files: string[] = []
  for (const name of ['linux', 'initrd.gz']) {
    const path = `netboot/debian-installer/${image.debianArch}/${name}`
    const sha256 = checksums.get(path)
    if (sha256 === undefined) return undefined
    const kept = join(request.cacheFolder, sha256, name)
    if (!(await isWhole(kept, sha256))) {
      onProgress(`downloading the installer's ${name}`)
      const { status, body } = await get(`${base}/${path}`, mostNetbootBytes, signal)
      if (status !== 200) return undefined
      if (sha256Of(body) !== sha256) throw corrupt(`${base}/${path}`, sha256, sha256Of(body))
      await keep(kept, body, request.cacheFolder)
    }
    files.push(kept)
  }
  const [kernel = '', initrd = ''] = files
  return { kernel, initrd, source: `${base}/netboot` }
}

// --- the mirror's package ---

async function fetchPackage(
  request: NetbootRequest,
  release: VerifiedRelease,
): Promise<InstallerMedium | undefined> {
  const { image, signal, onProgress, cacheFolder } = request
  const { debian } = image.mirror
  const { suite, debianArch: arch } = image
  const index = await fetchIndex({ url: debian, suite, arch }, release, 'main', { signal })
  if (index === undefined) return undefined
  const listed = findListedPackage(index.toString('latin1'), netbootPackage(image))
  if (listed === undefined) return undefined
  const folder = join(cacheFolder, listed.sha256)
  const files = { kernel: join(folder, 'linux'), initrd: join(folder, 'initrd.gz') }
  const source = `${debian}/${listed.fileName}`
  const kept = join(folder, 'package.deb')
  if (!(await isWhole(kept, listed.sha256))) {
    onProgress(`downloading ${netbootPackage(image)}, ${Math.round(listed.size / 1e6)} MB`)
    await keep(kept, await fetchListed(source, listed, { signal }), cacheFolder)
  }
  const work = temporaryName(folder)
  try {
    onProgress(`unpacking ${netbootPackage(image)}`)
    // Extracted every time: the index vouches only for the package.
    await runFile('dpkg-deb', ['--extract', '--', kept, work], { signal, env: bareEnvironment().env })
    const tree = join(work, installedImages, belowImages(image))
    for (const [from, to] of [['linux', files.kernel] as const, ['initrd.gz', files.initrd] as const])
      await rename(join(tree, from), to)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return { ...files, source }
}

// --- what is kept ---

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function isWhole(path: string, sha256: string): Promise<boolean> {
  const content = await readRegular(path, mostNetbootBytes).catch(() => undefined)
  return content !== undefined && sha256Of(content) === sha256
}

/** If this run is killed, the next one removes what is left of it. */
async function keep(path: string, content: Uint8Array, cacheFolder: string): Promise<void> {
  const temporary = temporaryName(join(cacheFolder, basename(path)))
  await makeFolder(dirname(path))
  await writeFile(temporary, content)
  await rename(temporary, path)
}

// --- faults ---

function noNetboot({ image }: NetbootRequest): PipelineError {
  const name = netbootPackage(image)
  return new PipelineError({
    code: 'installer-no-netboot',
    message: `there is no kernel to boot debian-installer with: neither the package ${name} here, nor netboot images or that package on ${image.mirror.debian}`,
    hint: `apt-get install ${name} where this host's Debian has it, use another mirror, or name a netinst disc in debianInstaller.iso.`,
    exitCode: exitCodes.hostNotFit,
    details: { package: name, mirror: image.mirror.debian },
  })
}

function corrupt(url: string, expected: string, found: string): PipelineError {
  return new PipelineError({
    code: 'mirror-file-corrupt',
    message: `${url} is not the file that the mirror's signed lists vouch for: sha256 ${found}; expected ${expected}`,
    hint: 'the mirror may be in the middle of an update: try again in a few minutes, or use another mirror.',
    exitCode: exitCodes.hostNotFit,
    details: { url, expected, found },
  })
}

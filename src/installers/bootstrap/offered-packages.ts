/**
 * Packages from the cache that mmdebstrap may install. apt compares the packages in its archive with the index only by name
 * and size, so this compares the digests first.
 */

import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResolvedImage } from '../../config/resolved.ts'
import { archivesOf } from '../../debian/archives.ts'
import { debOf, type PackageSet } from '../../debian/package-set.ts'
import {
  describeStanza,
  fetchPackageIndex,
  type ListedPackage,
  stanzasOf,
} from '../../debian/packages-index.ts'
import type { VerifyOptions } from '../../debian/release.ts'
import { PipelineError } from '../../errors.ts'
import { copyLarge, makeTemporaryFolder } from '../../host/files.ts'
import { sha256File } from '../../host/hash-file.ts'
import { someAtATime } from '../../host/some-at-a-time.ts'
import { namesIn } from '../../host/unless-missing.ts'

export interface OfferRequest {
  readonly image: Pick<ResolvedImage, 'suite' | 'debianArch' | 'mirror'>
  /** Where packages are kept, under apt's names; must exist. */
  readonly packageCache: string
  /** Offers these packages, and no others. */
  readonly packages?: PackageSet | undefined
  /** Called with a line about a file that is not used. */
  readonly onNote: (text: string) => void
  readonly signal: AbortSignal
}

export interface OfferedPackages {
  /** Contains the verified packages of the cache. apt may add more. */
  readonly folder: string
  /** Keeps what is new in the folder, then removes the folder. */
  readonly close: () => Promise<void>
}

/** Offers what today's signed indexes of the image's archives list. A package that does not match its entry is removed. */
export async function offerPackages(request: OfferRequest): Promise<OfferedPackages> {
  const { packageCache, onNote, packages } = request
  if (packages !== undefined) return offerSet(packages, request)
  // On the same filesystem, where links cost nothing.
  const folder = await makeTemporaryFolder(packageCache)
  try {
    const names = (await namesIn(packageCache)).filter(isPackage)
    const listed: ReadonlyMap<string, ListedPackage> =
      names.length === 0 ? new Map() : await findListed(names, request)
    await someAtATime(names, async (name) => {
      const expected = listed.get(name)
      const file = join(packageCache, name)
      // It has been superseded by a newer version, or belongs to another suite.
      if (expected === undefined) return
      const found = await stat(file).catch(() => undefined)
      if (found?.isFile() !== true) return onNote(`${name} in ${packageCache} is not a file, and is not used`)
      if (await copyProved(file, join(folder, name), expected, request.signal)) return
      await rm(file, { force: true })
      onNote(`${name} in ${packageCache} is not the package that the signed index lists, and is removed`)
    })
    return { folder, close: () => keepNew(folder, packageCache) }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

// --- internal ---

/** Offers what the image's archives have signed. A set may also contain packages of other variants. */
async function offerSet(
  { folder: set, content, source }: PackageSet,
  { image, packageCache, signal }: OfferRequest,
): Promise<OfferedPackages> {
  const signed = await listPackages(image, new Set(content.packages.map(({ name }) => name)), {
    signal,
    source,
  })
  const folder = await makeTemporaryFolder(packageCache)
  const close = () => rm(folder, { recursive: true, force: true })
  try {
    for (const name of content.packages.map(debOf)) {
      const expected = signed.get(name)
      if (expected !== undefined) await copyProved(join(set, name), join(folder, name), expected, signal)
    }
    return { folder, close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Copies a package if it matches what the archives have signed. The copy is verified, because someone may change the file
 * meanwhile, which would also change a link.
 */
async function copyProved(
  file: string,
  to: string,
  expected: ListedPackage,
  signal: AbortSignal,
): Promise<boolean> {
  // Checked before reading: a sparse file may be so long that reading it takes hours.
  if ((await stat(file)).size !== expected.size) return false
  await copyLarge(file, to, signal)
  if ((await stat(to)).size === expected.size && (await sha256File(to, signal)) === expected.sha256)
    return true
  await rm(to)
  return false
}

/** Whether a name consists of the characters of Debian's names and versions, as apt writes them in file names. */
function isPackage(name: string): boolean {
  return /^[a-z0-9][\w.+~%-]*_[\w.+~%-]+_[a-z0-9-]+\.deb$/.test(name)
}

/** Packages by file name; empty if the indexes cannot be downloaded, which the installation itself then reports better. */
async function findListed(
  names: readonly string[],
  { image, onNote, signal }: OfferRequest,
): Promise<ReadonlyMap<string, ListedPackage>> {
  const packages = new Set(names.map((name) => name.slice(0, name.indexOf('_'))))
  try {
    return await listPackages(image, packages, { signal })
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    onNote(`cached packages are not used, because they cannot be verified: ${error.message}`)
    return new Map()
  }
}

/** Packages by file name, as signed by the image's archives. */
async function listPackages(
  image: OfferRequest['image'],
  names: ReadonlySet<string>,
  options: VerifyOptions,
): Promise<ReadonlyMap<string, ListedPackage>> {
  const packages = new Map<string, ListedPackage>()
  for (const archive of archivesOf(image)) {
    for (const fields of stanzasOf(await fetchPackageIndex(archive, options), names)) {
      const listed = describeStanza(fields)
      if (listed !== undefined) packages.set(listed.archiveName, listed)
    }
  }
  return packages
}

async function keepNew(folder: string, packageCache: string): Promise<void> {
  const known = new Set(await readdir(packageCache))
  const made = (await readdir(folder)).filter((name) => isPackage(name) && !known.has(name))
  for (const name of made) await rename(join(folder, name), join(packageCache, name))
  await rm(folder, { recursive: true, force: true })
}

/** The package set of a release: every .deb of its layers, verified by the lists that apt used. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import {
  debOf,
  describeSetPackage,
  indexFileOf,
  releaseFileOf,
  renderSet,
  type SetArchive,
  type SetPackage,
  setFile,
} from '../debian/package-set.ts'
import { fetchListed } from '../debian/release.ts'
import { sha256 } from '../digest.ts'
import { PipelineError } from '../errors.ts'
import { linkOrCopy } from '../host/files.ts'
import { sha256File } from '../host/hash-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { sizeIfThere } from '../host/unless-missing.ts'
import { writeFile } from '../host/writing.ts'
import type { AptList } from '../provenance/apt-lists.ts'
import { layersUpTo } from '../store/chain.ts'
import type { LayerKey } from '../store/layer-key.ts'
import type { Layer } from '../store/layer-record.ts'
import { openStore, type Store } from '../store/store.ts'
import type { CollectedVariant } from './collect.ts'
import { readSetLists, unavailable } from './package-lists.ts'
import { packagesFolder } from './record.ts'

export interface SetRequest {
  /** Called with each step. */
  readonly onStep: (text: string) => void
  readonly signal: AbortSignal
}

/**
 * Adds the packages of all variants to the folder of a release.
 * @returns the checksum of the set's list
 * @throws PipelineError `packages-missing`
 */
export async function addPackageSet(
  release: string,
  variants: readonly CollectedVariant[],
  { onStep, signal }: SetRequest,
): Promise<string> {
  const folder = join(release, packagesFolder)
  await mkdir(folder)
  const archives = new Map<string, SetArchive>()
  const packages = new Map<string, SetPackage>()
  for (const variant of variants) {
    onStep(`${variant.image.variant}: package set`)
    const store = openStore(outFolderAt(variant.folder).store)
    const lists = await readSetLists(variant.image, await findLayers(variant, store), store, signal)
    for (const archive of await writeLists(folder, lists.lists))
      archives.set(`${archive.suite} ${archive.architecture} ${archive.url}`, archive)
    await copyPackages(folder, lists.packages, variant, signal)
    for (const one of lists.packages) packages.set(debOf(one), one)
  }
  const text = renderSet({ archives: [...archives.values()], packages: [...packages.values()] })
  await writeFile(join(folder, setFile), text)
  return sha256(text)
}

// --- internal ---

/** The layers of a variant, lowest first. */
async function findLayers(
  { image, files, folder }: CollectedVariant,
  store: Store,
): Promise<readonly Layer[]> {
  const last = await store.find((files[0]?.result.madeFrom ?? '') as LayerKey)
  const layers = last === undefined ? [] : await layersUpTo(last, store)
  if (layers[0]?.parent === null) return layers
  throw unavailable(
    `layer 0 of ${image.variant} is not in ${store.folder}: what it was made from is not known`,
    `make the release where it was built, or build it again in ${folder}.`,
  )
}

/** Writes the signed files and their indexes. */
async function writeLists(folder: string, lists: readonly AptList[]): Promise<readonly SetArchive[]> {
  const archives: SetArchive[] = []
  for (const { request, bytes, entries } of lists) {
    const digest = sha256(bytes)
    if (entries === undefined) {
      await writeFile(join(folder, releaseFileOf(digest)), bytes)
      const { suite, url, arch: architecture } = request
      archives.push({ suite, url, architecture, sha256: digest, indexes: [] })
    } else {
      await writeFile(join(folder, indexFileOf(digest)), await promisify(gzip)(bytes, { level: 9 }))
      archives.at(-1)?.indexes.push(digest)
    }
  }
  return archives
}

/** Takes packages from the build's cache, or from the archives if the cache lacks them. */
async function copyPackages(
  folder: string,
  packages: readonly SetPackage[],
  { image, folder: outFolder }: CollectedVariant,
  signal: AbortSignal,
): Promise<void> {
  const cache = outFolderAt(outFolder).cache.packages
  const missing: string[] = []
  await someAtATime(packages, async (one) => {
    const to = join(folder, debOf(one))
    const kept = join(cache, debOf(one))
    const isKept = await sizeIfThere(kept)
      .then(async (found) => found === one.sizeBytes && (await sha256File(kept, signal)) === one.sha256)
      .catch(() => false)
    signal.throwIfAborted()
    try {
      if (isKept) await linkOrCopy(kept, to, signal)
      else
        await writeFile(
          to,
          await fetchListed(one.url, { sha256: one.sha256, size: one.sizeBytes }, { signal }),
        )
    } catch (error) {
      if (signal.aborted || !(error instanceof PipelineError)) throw error
      missing.push(`  ${describeSetPackage(one)}: ${error.message}`)
    }
  })
  if (missing.length > 0)
    throw unavailable(
      [`the package set of ${image.variant} lacks packages:`, ...missing.sort()].join('\n'),
      `put the files into ${cache}, or release without --with-packages.`,
    )
}

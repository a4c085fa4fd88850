/** Packages that were downloaded before, under apt's names. Also keeps new ones. */

import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ListedPackage, openIndex } from '../../debian/packages-index.ts'
import { messageOf } from '../../errors.ts'
import { makeFolder } from '../../host/files.ts'
import { sha256File } from '../../host/hash-file.ts'
import { sizeIfThere } from '../../host/unless-missing.ts'

export interface PackageCacheOptions {
  /** Text of the mirror's verified indexes: only packages listed there are kept. */
  readonly index: string
  /** Where they are kept; the other installer adds to it too. */
  readonly folder: string
  /** Folder for incomplete files, on the same filesystem. */
  readonly workFolder: string
  /** Called with the reason, in one line, when a package cannot be kept. */
  readonly onFault: (text: string) => void
}

export interface PackageCache {
  /** The package at a path below the mirror. */
  readonly find: (path: string) => ListedPackage | undefined
  /** Path of the package, if it is there and matches the index. */
  readonly get: (listed: ListedPackage) => Promise<string | undefined>
  /**
   * Stores a package as it passes, once it is complete and matches the index. A failure to store it does not stop the
   * transfer.
   */
  readonly keep: (listed: ListedPackage, chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>
  /** Removes incomplete files. */
  readonly close: () => Promise<void>
}

/** Opens the cache, and creates its folders. */
export async function openPackageCache(options: PackageCacheOptions): Promise<PackageCache> {
  const { index, folder, workFolder, onFault } = options
  await makeFolder(folder)
  await makeFolder(workFolder)
  const findListed = openIndex(index)
  let passing = 0
  const pathOf = ({ archiveName }: ListedPackage) => join(folder, archiveName)
  const isListed = async (path: string, { sha256, size }: ListedPackage) =>
    // A package that has just arrived is kept even while the proxy is closing.
    sizeIfThere(path)
      .then(async (found) => found === size && (await sha256File(path)) === sha256)
      .catch(() => false)

  async function* keep(listed: ListedPackage, chunks: AsyncIterable<Uint8Array>) {
    // Two guests may request the same package at once, or a guest that gave up may retry.
    passing += 1
    const partial = join(workFolder, `${passing}-${listed.archiveName}`)
    let fault: unknown
    const attempt = (act: Promise<unknown>) =>
      act.catch((cause) => {
        fault ??= cause
      })
    const file = await open(partial, 'wx').catch((cause) => {
      fault = cause
    })
    let isThrough = false
    try {
      for await (const chunk of chunks) {
        if (fault === undefined) await attempt(file?.writeFile(chunk) ?? Promise.resolve())
        yield chunk
      }
      isThrough = true
    } finally {
      await attempt(file?.close() ?? Promise.resolve())
      // What counts is the file on disk, not the bytes that passed by.
      const isWhole = isThrough && fault === undefined && (await isListed(partial, listed))
      await attempt(isWhole ? rename(partial, pathOf(listed)) : rm(partial, { force: true }))
      if (fault !== undefined) onFault(`${listed.archiveName} is not kept: ${messageOf(fault)}`)
    }
  }

  return {
    find: (path) => {
      const listed = findListed(path)
      return listed !== undefined && /^[\w.+~%-]+$/.test(listed.archiveName) ? listed : undefined
    },
    get: async (listed) => ((await isListed(pathOf(listed), listed)) ? pathOf(listed) : undefined),
    keep,
    close: () => rm(workFolder, { recursive: true, force: true }),
  }
}

/** Packages that were downloaded before, by apt's names, and a way to keep those that are downloaded now. */

import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { findListedFile, type ListedPackage } from '../../debian/packages-index.ts'
import { sha256File } from '../../digest.ts'
import { messageOf } from '../../errors.ts'

export interface PackageCacheOptions {
  /** Text of the mirror's proved indexes: only packages that stand there are kept. */
  readonly index: string
  /** Where they are, as the other installer fills it too. */
  readonly folder: string
  /** For what is not whole yet, on the same filesystem. */
  readonly workFolder: string
  /** Told why a package can't be kept, in a line. */
  readonly onFault: (text: string) => void
}

export interface PackageCache {
  /** The package that a path below the mirror is of. */
  readonly find: (path: string) => ListedPackage | undefined
  /** Path of the package, where it is there and is what the index lists. */
  readonly get: (listed: ListedPackage) => Promise<string | undefined>
  /** Keeps a package while it passes, once all of it has and it is what the index lists. That it can't is no reason to stop. */
  readonly keep: (listed: ListedPackage, chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>
  /** Removes what is not whole. */
  readonly close: () => Promise<void>
}

/** Opens it; its folders are made. */
export async function openPackageCache(options: PackageCacheOptions): Promise<PackageCache> {
  const { index, folder, workFolder, onFault } = options
  await mkdir(folder, { recursive: true })
  await mkdir(workFolder, { recursive: true })
  let passing = 0
  const pathOf = ({ archiveName }: ListedPackage) => join(folder, archiveName)
  const isListed = async (path: string, { sha256 }: ListedPackage) =>
    sha256File(path).then(
      (found) => found === sha256,
      () => false,
    )

  async function* keep(listed: ListedPackage, chunks: AsyncIterable<Uint8Array>) {
    // Two guests may ask for the same one at once, or one that has given up.
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
      // What counts is what lies there, not what went by.
      const isWhole = isThrough && fault === undefined && (await isListed(partial, listed))
      await attempt(isWhole ? rename(partial, pathOf(listed)) : rm(partial, { force: true }))
      if (fault !== undefined) onFault(`${listed.archiveName} is not kept: ${messageOf(fault)}`)
    }
  }

  return {
    find: (path) => {
      const listed = findListedFile(index, path)
      return listed !== undefined && /^[\w.+~%-]+$/.test(listed.archiveName) ? listed : undefined
    },
    get: async (listed) => ((await isListed(pathOf(listed), listed)) ? pathOf(listed) : undefined),
    keep,
    close: () => rm(workFolder, { recursive: true, force: true }),
  }
}

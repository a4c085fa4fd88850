/** Digests of files and folders, which may be large: a signal stops reading at once. */

import { createHash, type Hash } from 'node:crypto'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { NotReadable, openToRead } from './regular-file.ts'
import { someAtATime } from './some-at-a-time.ts'

/**
 * Digests of a file's bytes, in hex by algorithm. Reads the file once.
 * @param signal undefined where nothing can be interrupted
 * @throws NotReadable, and whatever opening the file throws
 */
export async function hashFile(
  path: string,
  signal: AbortSignal | undefined,
  algorithms: readonly string[] = ['sha256'],
): Promise<Readonly<Record<string, string>>> {
  signal?.throwIfAborted()
  const hashes = algorithms.map((algorithm) => [algorithm, createHash(algorithm)] as const)
  const file = await openToRead(path)
  if ((await file.stat()).size <= chunkBytes) {
    const bytes = await file.readFile().finally(() => file.close())
    return digestsOf(hashes.map(([algorithm, hash]) => [algorithm, hash.update(bytes)]))
  }
  const stream = file.createReadStream({ highWaterMark: chunkBytes })
  const digest = async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) for (const [, hash] of hashes) hash.update(chunk)
  }
  await pipeline(stream, digest, { signal: signal ?? new AbortController().signal }).catch(
    (error: unknown) => {
      signal?.throwIfAborted()
      throw error
    },
  )
  return digestsOf(hashes)
}

/** A stream needs this much memory even for each of the many smaller files, and takes longer than reading them whole. */
const chunkBytes = 1 << 20

function digestsOf(hashes: readonly (readonly [string, Hash])[]): Readonly<Record<string, string>> {
  return Object.fromEntries(hashes.map(([algorithm, hash]) => [algorithm, hash.digest('hex')]))
}

/** @throws like `hashFile` */
export async function sha256File(path: string, signal?: AbortSignal): Promise<string> {
  return (await hashFile(path, signal)).sha256 as string
}

/**
 * A folder as a list of `path mode digest` by relative path: identical for two checkouts of the same tree, since Git does not
 * keep empty folders.
 * @throws NotReadable for anything but files, folders and links: reading a FIFO or a device may never end
 */
export async function listTree(
  folder: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const entries: Record<string, string> = {}
  const files: string[] = []
  const walk = async (relative: string): Promise<void> => {
    const names = await readdir(join(folder, relative))
    if (names.length === 0 && relative !== '') entries[relative] = 'empty folder'
    for (const name of names.sort()) {
      const path = relative === '' ? name : `${relative}/${name}`
      const found = await lstat(join(folder, path))
      if (found.isDirectory()) await walk(path)
      else if (found.isSymbolicLink()) entries[path] = `link ${await readlink(join(folder, path))}`
      else if (!found.isFile()) throw new NotReadable(`${join(folder, path)} is not a file, folder or link`)
      else {
        // Git only keeps the execute bit, so two checkouts can differ in the others.
        entries[path] = found.mode & 0o100 ? '755' : '644'
        files.push(path)
      }
    }
  }
  await walk('')
  await someAtATime(files, async (path) => {
    entries[path] += ` ${await sha256File(join(folder, path), signal)}`
  })
  return entries
}

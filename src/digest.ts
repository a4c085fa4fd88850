/** Content identity: the same content has the same digest, on any machine and with keys in any order. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** JSON with sorted keys and without spaces. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

/** sha256 of a text or of bytes, in hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** Digests of a file's bytes, read once. */
export async function hashFile(
  path: string,
  algorithms: readonly string[] = ['sha256'],
): Promise<Readonly<Record<string, string>>> {
  const hashes = algorithms.map((algorithm) => [algorithm, createHash(algorithm)] as const)
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), async (chunks) => {
    for await (const chunk of chunks) for (const [, hash] of hashes) hash.update(chunk)
  })
  return Object.fromEntries(hashes.map(([algorithm, hash]) => [algorithm, hash.digest('hex')]))
}

export async function sha256File(path: string): Promise<string> {
  return (await hashFile(path)).sha256 as string
}

/**
 * A folder as a list of `path mode digest` by relative path: identical for two checkouts of the same tree, which Git keeps
 * without empty folders.
 * @throws Error for anything but files, folders and links: reading a FIFO or a device may never end
 */
export async function listTree(folder: string): Promise<Readonly<Record<string, string>>> {
  const entries: Record<string, string> = {}
  const walk = async (relative: string): Promise<void> => {
    const names = await readdir(join(folder, relative))
    if (names.length === 0 && relative !== '') entries[relative] = 'empty folder'
    for (const name of names.sort()) {
      const path = relative === '' ? name : `${relative}/${name}`
      const found = await lstat(join(folder, path))
      // Git only keeps the execute bit, so two checkouts may differ in the others.
      const mode = found.mode & 0o100 ? '755' : '644'
      if (found.isDirectory()) await walk(path)
      else if (found.isSymbolicLink()) entries[path] = `link ${await readlink(join(folder, path))}`
      else if (found.isFile()) entries[path] = `${mode} ${await sha256File(join(folder, path))}`
      else throw new Error(`${join(folder, path)} is neither file, folder nor link`)
    }
  }
  await walk('')
  return entries
}

/** A UUID in the form of version 4, derived from a text. */
export function uuidFrom(text: string): string {
  const hex = sha256(text)
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(18, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}

/** What a tree for a guest must not contain, whether it comes as a folder or in a tarball. */

import { isUtf8 } from 'node:buffer'
import type { Dirent } from 'node:fs'
import { constants, lstat, readdir, readlink, realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve as resolvePath } from 'node:path'
import { canAccess } from '../host/files.ts'
import { faultOfSize } from './source-fault.ts'

/** The first thing wrong with a tree; undefined if nothing. Opens no file: reading a FIFO or a device would never end. */
export async function faultOfTree(unresolved: string): Promise<string | undefined> {
  const folder = await realpath(unresolved)
  const walk = async (inside: string): Promise<string | undefined> => {
    const entries = await entriesOf(join(folder, inside))
    if (entries === undefined) return `has the folder ${inside} in it, which cannot be read`
    for (const entry of entries) {
      if (!isUtf8(entry.name))
        return `has a name in it that is not UTF-8: ${join(inside, escapeBytes(entry.name))}`
      const path = join(inside, entry.name.toString())
      const fault = entry.isDirectory() ? await walk(path) : await faultOfEntry(folder, path, entry)
      if (fault !== undefined) return fault
    }
    return undefined
  }
  return walk('')
}

/** Bytes as text: everything that is not printable ASCII appears as `\xff`. */
export function escapeBytes(bytes: Uint8Array): string {
  const hex = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  return Buffer.from(bytes)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]/g, hex)
}

// --- internal ---

type Entry = Omit<Dirent, 'name'> & { readonly name: Buffer }

/** The entries of a folder by name; undefined if it is not readable. */
async function entriesOf(folder: string): Promise<readonly Entry[] | undefined> {
  try {
    // Node 18's types do not know names as bytes.
    const options = { encoding: 'buffer' as 'utf8', withFileTypes: true } as const
    const entries = (await readdir(folder, options)) as unknown as Entry[]
    return entries.sort((a, b) => Buffer.compare(a.name, b.name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    return undefined
  }
}

async function faultOfEntry(folder: string, path: string, entry: Entry): Promise<string | undefined> {
  if (entry.isSymbolicLink()) return faultOfLink(folder, path)
  if (!entry.isFile())
    return `has ${nameKind(entry)} in it, ${path}, where only files, folders and links are allowed`
  if (!(await canAccess(join(folder, path), constants.R_OK)))
    return `has the file ${path} in it, which cannot be read`
  const fault = faultOfSize((await lstat(join(folder, path))).size)
  return fault === undefined ? undefined : `has the file ${path} in it, of ${fault}`
}

function nameKind(entry: Entry): string {
  if (entry.isFIFO()) return 'a FIFO'
  return entry.isSocket() ? 'a socket' : 'a device'
}

/** A link's target has to be below the folder. Absolute targets are guest paths, so they count as below it. */
async function faultOfLink(folder: string, name: string): Promise<string | undefined> {
  const path = join(folder, name)
  const target = await readlink(path)
  if (target.startsWith('/')) return undefined
  // Checks the target as written, and as resolved through other links.
  const ends = [resolvePath(dirname(path), target), await realpath(path).catch(() => folder)]
  const isOutside = ends.some((end) => relative(folder, end).split('/')[0] === '..')
  return isOutside ? `has the link ${name} -> ${target} in it, which leads out of it` : undefined
}

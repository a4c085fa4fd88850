/**
 * Digests of files that have not been touched since they were read. A gigabyte takes seconds to read, and a build
 * looks at every layer below the one it starts from.
 */

import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { z } from 'zod'
import { sha256File } from '../digest.ts'
import { writeDurably } from '../host/files.ts'

const schema = z.record(z.string(), z.object({ touched: z.string(), sha256: z.string() }))

export interface KnownDigests {
  /** The file's sha256: as it was found when the file was last read, or by reading it. */
  readonly of: (path: string) => Promise<string>
  /** Remembers what was found by reading. */
  readonly learn: (path: string, sha256: string) => Promise<void>
  /** Forgets the files that are not among these names. */
  readonly keepOnly: (names: ReadonlySet<string>) => Promise<void>
}

/** Keeps what it knows in `file`, by the names of files alone: those of a store that was moved are read again. */
export function openKnownDigests(file: string): KnownDigests {
  const read = async (): Promise<z.infer<typeof schema>> => {
    try {
      return schema.parse(JSON.parse(await readFile(file, 'utf8')))
    } catch {
      return {}
    }
  }
  const learn = async (path: string, sha256: string): Promise<void> => {
    const touched = await describeTouch(path)
    await writeDurably(file, JSON.stringify({ ...(await read()), [basename(path)]: { touched, sha256 } }))
  }
  return {
    learn,
    keepOnly: async (names) => {
      const known = Object.entries(await read())
      const kept = known.filter(([name]) => names.has(name))
      if (kept.length < known.length) await writeDurably(file, JSON.stringify(Object.fromEntries(kept)))
    },
    of: async (path) => {
      const known = (await read())[basename(path)]
      if (known !== undefined && known.touched === (await describeTouch(path))) return known.sha256
      const found = await sha256File(path)
      await learn(path, found)
      return found
    },
  }
}

/** Differs after every write, and after every attempt to hide one: the time of change can't be set. */
async function describeTouch(path: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
  return [ino, size, mtimeNs, ctimeNs].join(' ')
}

/**
 * Digests of files that have not changed since they were read. Reading a gigabyte takes seconds, and a build checks every
 * layer below the one that it starts from.
 */

import { basename } from 'node:path'
import { z } from 'zod'
import { isNoSpace } from '../host/failures.ts'
import { writeDurably } from '../host/files.ts'
import { sha256File } from '../host/hash-file.ts'
import { readRecord } from '../host/json-file.ts'
import { touchOf } from '../host/touch.ts'
import { digestSchema } from '../report/report.ts'

const schema = z.record(z.string(), z.strictObject({ touched: z.string(), sha256: digestSchema }))

export interface KnownDigests {
  /** The file's sha256, remembered from the last time or read now. */
  readonly of: (path: string) => Promise<string>
  /** Remembers a digest that was computed by reading the file. */
  readonly learn: (path: string, sha256: string) => Promise<void>
  /** Forgets all files except these names. */
  readonly keepOnly: (names: ReadonlySet<string>) => Promise<void>
}

/** Stores digests in `file`, keyed by file names alone: after a store is moved, its files are read again. */
export function openKnownDigests(file: string, signal?: AbortSignal): KnownDigests {
  const read = async () => (await readRecord(file, schema)) ?? {}
  // On a full disk, files are read again: `clean` and `store prune` have to free space there.
  const write = (known: z.output<typeof schema>) =>
    writeDurably(file, JSON.stringify(known)).catch((error: unknown) => {
      if (!isNoSpace(error)) throw error
    })
  const learn = async (path: string, sha256: string): Promise<void> => {
    const { mark: touched } = await touchOf(path)
    await write({ ...(await read()), [basename(path)]: { touched, sha256 } })
  }
  return {
    learn,
    keepOnly: async (names) => {
      const known = Object.entries(await read())
      const kept = known.filter(([name]) => names.has(name))
      if (kept.length < known.length) await write(Object.fromEntries(kept))
    },
    of: async (path) => {
      const known = (await read())[basename(path)]
      if (known !== undefined && known.touched === (await touchOf(path)).mark) return known.sha256
      const found = await sha256File(path, signal)
      await learn(path, found)
      return found
    },
  }
}

/**
 * What is read of a release, with the checksum of each file as it was read: a verdict on files that somebody changes meanwhile
 * would be about none of them.
 */

import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { readRegular } from '../host/regular-file.ts'

export interface Reads {
  /** The bytes of a file. @throws like `readRegular` */
  readonly read: (name: string, mostBytes?: number) => Promise<Buffer>
  /** Names of the files that were not read as these checksums say. */
  readonly changed: (checksums: ReadonlyMap<string, { readonly sha256: string }>) => readonly string[]
}

export function openReads(folder: string): Reads {
  const seen: (readonly [name: string, digest: string])[] = []
  return {
    read: async (name, mostBytes) => {
      const bytes = await readRegular(join(folder, name), mostBytes)
      seen.push([name, sha256(bytes)])
      return bytes
    },
    changed: (checksums) =>
      seen.flatMap(([name, digest]) => (checksums.get(name)?.sha256 === digest ? [] : [name])),
  }
}

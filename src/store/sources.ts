/** Texts that went into keys, by their sha256, kept to show later what changed. */

import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { readRegularText } from '../host/regular-file.ts'
import { namesIn, sizeIfThere } from '../host/unless-missing.ts'

export interface Sources {
  readonly folder: string
  readonly keep: (bytes: Uint8Array) => Promise<void>
  /** Undefined if it cannot be read. */
  readonly read: (digest: string) => Promise<string | undefined>
  /** Paths of files that a killed run has not finished. */
  readonly unfinished: () => Promise<readonly string[]>
}

export function openSources(folder: string): Sources {
  return {
    folder,
    keep: async (bytes) => {
      const path = join(folder, sha256(bytes))
      await makeFolder(folder)
      if ((await sizeIfThere(path)) === undefined) await writeDurably(path, bytes)
    },
    read: (digest) => readRegularText(join(folder, digest)).catch(() => undefined),
    unfinished: async () => {
      const names = (await namesIn(folder)).filter((name) => name.endsWith('.tmp'))
      return names.map((name) => join(folder, name))
    },
  }
}

/**
 * Saved states: the memory of a suspended guest whose disk is exactly that of a layer. Resuming a guest takes seconds. States
 * are a cache of boots: any of them can be removed at any time, and a damaged one is never used.
 */

import { rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { copyLarge, makeFolder, writeDurably } from '../host/files.ts'
import { sha256File } from '../host/hash-file.ts'
import { readRecord } from '../host/json-file.ts'
import { requireUnlinked } from '../host/out-folder.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { namesIn, sizeIfThere } from '../host/unless-missing.ts'
import { partialState } from '../qemu/suspend.ts'
import { digestSchema } from '../report/report.ts'
import type { Layer } from './layer-record.ts'

const stateSchema = z.strictObject({
  /** Digest of everything that the state depends on. */
  key: digestSchema,
  /** Key and digest of the layer below the guest's disk. */
  layer: digestSchema,
  layerSha256: digestSchema,
  /** Digest of the memory, and of the guest's writes above the layer, if any. */
  sha256: digestSchema,
  changesSha256: digestSchema.nullable(),
  sizeBytes: z.int().min(0),
  /** ISO 8601. */
  createdAt: z.iso.datetime(),
})

export type SavedState = Readonly<z.infer<typeof stateSchema>>

export interface States {
  /** Path of a state's memory: QEMU's migration stream, compressed by `zstd`. */
  readonly memory: (key: string) => string
  /** Path of the qcow2 with the guest's writes above the layer. */
  readonly changes: (key: string) => string
  /** A state that matches a layer in its present form. Does not read the memory. */
  readonly find: (key: string, layer: Layer) => Promise<SavedState | undefined>
  readonly list: () => Promise<readonly SavedState[]>
  /** Whether the files match the record. */
  readonly verify: (state: SavedState) => Promise<boolean>
  /** Prepares the files of a state, which has no record until `commit`. */
  readonly prepare: (key: string) => Promise<void>
  /**
   * Records the files at `memory(key)` and, if present, `changes(key)`. A power failure may damage them: `verify` detects
   * that.
   */
  readonly commit: (key: string, layer: Layer) => Promise<SavedState>
  /** Copies the guest's writes above the layer to `path`, and marks the state as used. */
  readonly use: (state: SavedState, path: string) => Promise<void>
  readonly remove: (key: string) => Promise<void>
  /**
   * Removes states of layers that are gone, except any being saved; then, given a size, the least recently used ones until
   * the rest fits.
   */
  readonly prune: (layers: readonly Layer[], maximumBytes?: number) => Promise<void>
}

/**
 * Opens the states in `folder`, which need not exist yet.
 * @param signal stops reading memory
 */
export function openStates(folder: string, signal?: AbortSignal): States {
  const memory = (key: string) => join(folder, `${key}.zst`)
  const changes = (key: string) => join(folder, `${key}.qcow2`)
  const record = (key: string) => join(folder, `${key}.json`)

  /** Prepared but not yet recorded: the guest may still be writing them. */
  const unfinished = new Set<string>()

  const read = async (key: string): Promise<SavedState | undefined> => {
    const state = await readRecord(record(key), stateSchema)
    return state?.key === key ? state : undefined
  }

  const remove = async (key: string): Promise<void> => {
    await requireUnlinked(folder)
    unfinished.delete(key)
    for (const path of [record(key), memory(key), partialState(memory(key)), changes(key)])
      await rm(path, { force: true })
  }

  const keys = async (): Promise<readonly string[]> => {
    const names = await namesIn(folder)
    return [
      ...new Set(
        names.flatMap((name) => /^([0-9a-f]{64})\.(json|zst|zst\.partial|qcow2)$/.exec(name)?.[1] ?? []),
      ),
    ]
  }

  return {
    memory,
    changes,
    remove,
    find: async (key, layer) => {
      const state = await read(key)
      return state?.layer === layer.key && state.layerSha256 === layer.sha256 ? state : undefined
    },
    list: async () => (await someAtATime(await keys(), read)).filter((state) => state !== undefined),
    verify: async ({ key, sha256, changesSha256 }) =>
      (await digestOf(memory(key), signal)) === sha256 &&
      (await digestOf(changes(key), signal)) === changesSha256,
    prepare: async (key) => {
      // Memory may contain secrets of the guest.
      await makeFolder(folder, 0o700)
      await remove(key)
      unfinished.add(key)
    },
    commit: async (key, layer) => {
      const changesSha256 = await digestOf(changes(key), signal)
      const sizes = await Promise.all([memory(key), changes(key)].map(sizeOf))
      const state: SavedState = {
        key,
        layer: layer.key,
        layerSha256: layer.sha256,
        sha256: await sha256File(memory(key), signal),
        changesSha256,
        sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
        createdAt: new Date().toISOString(),
      }
      await writeDurably(record(key), `${JSON.stringify(state, null, 2)}\n`)
      unfinished.delete(key)
      return state
    },
    use: async ({ key, changesSha256 }, path) => {
      if (changesSha256 !== null) await copyLarge(changes(key), path, signal)
      const now = new Date()
      await utimes(record(key), now, now)
    },
    prune: async (layers, maximumBytes = Number.POSITIVE_INFINITY) => {
      const kept: { readonly key: string; readonly sizeBytes: number; readonly usedMs: number }[] = []
      const digests = new Map<string, string>(layers.map(({ key, sha256 }) => [key, sha256]))
      for (const key of await keys()) {
        if (unfinished.has(key)) continue
        const state = await read(key)
        const isOfUse = state !== undefined && digests.get(state.layer) === state.layerSha256
        if (!isOfUse) await remove(key)
        else kept.push({ key, sizeBytes: state.sizeBytes, usedMs: (await stat(record(key))).mtimeMs })
      }
      kept.sort((a, b) => b.usedMs - a.usedMs)
      let room = maximumBytes
      for (const { key, sizeBytes } of kept) {
        room -= sizeBytes
        if (room < 0) await remove(key)
      }
    },
  }
}

async function digestOf(path: string, signal: AbortSignal | undefined): Promise<string | null> {
  return (await sizeOf(path)) === 0 ? null : sha256File(path, signal)
}

async function sizeOf(path: string): Promise<number> {
  return (await sizeIfThere(path)) ?? 0
}

/** The store: every layer that a build has sealed, as `<key>.qcow2` and `<key>.json`. */

import { stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { flush, writeDurably } from '../host/files.ts'
import { sha256File } from '../host/hash-file.ts'
import { requireUnlinked } from '../host/out-folder.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { namesIn, unlessMissing } from '../host/unless-missing.ts'
import { withThoseAbove } from './chain.ts'
import { completeIn, faultsIn, openEntries, type StoreFault } from './entries.ts'
import { openKnownDigests } from './known-digests.ts'
import type { LayerKey } from './layer-key.ts'
import { type Layer, parseLayer } from './layer-record.ts'
import { openSources } from './sources.ts'

/** Anything that exists but cannot be read throws PipelineError `unreadable`; nothing is then removed. */
export interface Store {
  readonly folder: string
  /** Path of a layer's disk, whether it exists or not. */
  readonly disk: (key: LayerKey) => string
  /** A complete layer, or undefined. Does not read the disk's content. */
  readonly find: (key: LayerKey) => Promise<Layer | undefined>
  /** All complete layers. */
  readonly list: () => Promise<readonly Layer[]>
  /** Checks a layer's disk against its digest; false means damaged. An unchanged disk is not read again. */
  readonly verify: (layer: Layer) => Promise<boolean>
  /** Everything wrong with any record or disk, including those that `find` and `list` skip. Reads every disk. */
  readonly inspect: () => Promise<readonly StoreFault[]>
  /** Records the disk at `disk(key)` as a layer. Once this returns, the layer survives a power failure. */
  readonly commit: (layer: Omit<Layer, 'sha256' | 'sizeBytes'>) => Promise<Layer>
  /** Like `commit`, for a disk whose digest and size the caller has already checked. */
  readonly adopt: (layer: Layer) => Promise<Layer>
  /** Removes layers and every layer above them. */
  readonly remove: (...keys: readonly LayerKey[]) => Promise<void>
  /** Keeps a text that went into a key, under its sha256, to show later what changed. */
  readonly keepSource: (bytes: Uint8Array) => Promise<void>
  readonly readSource: (digest: string) => Promise<string | undefined>
  /**
   * Removes what is useless: disks without a record, records whose disk is missing or truncated, and layers whose parent is
   * gone. Returns the layers among them; reads no disk.
   */
  readonly sweep: () => Promise<readonly StoreFault[]>
}

/**
 * Opens the store in `folder`, which need not exist yet.
 * @param confirm called before every change that others rely on; throws if it must not be made
 * @param signal stops reading disks
 */
export function openStore(
  folder: string,
  confirm: () => Promise<void> = async () => undefined,
  signal?: AbortSignal,
): Store {
  const { disk, record, ...entries } = openEntries(folder)
  const sources = openSources(join(folder, 'sources'))
  const known = openKnownDigests(join(folder, 'digests.json'), signal)
  const list = async (): Promise<readonly Layer[]> =>
    (await entries.readAll()).map(completeIn).filter((layer) => layer !== undefined)

  const remove = async (...keys: readonly LayerKey[]): Promise<void> => {
    if (keys.length === 0) return
    await requireUnlinked(folder)
    await confirm()
    await someAtATime([...withThoseAbove(keys, await list())], async (key) => {
      // The record goes first: a disk without a record is garbage, but a record without a disk would be a lie.
      await removeFile(record(key))
      await removeFile(disk(key))
    })
  }

  const adopt = async (layer: Layer): Promise<Layer> => {
    const text = `${JSON.stringify(layer, null, 2)}\n`
    if (parseLayer(JSON.parse(text)) === undefined)
      throw new Error(`the layer of ${layer.name} has no sound record: ${text.slice(0, 2000)}`)
    await flush(disk(layer.key))
    await known.learn(disk(layer.key), layer.sha256)
    await confirm()
    await writeDurably(record(layer.key), text)
    return layer
  }

  return {
    folder,
    disk,
    find: async (key) => completeIn(await entries.read(key)),
    list,
    remove,
    adopt,
    verify: async ({ key, sha256 }) => (await unlessMissing(disk(key), () => known.of(disk(key)))) === sha256,
    inspect: async () => {
      const found = await entries.readAll()
      const faults = faultsIn(found)
      const faulty = new Set(faults.map(({ key }) => key))
      for (const { key, layer } of found) {
        if (layer === undefined || faulty.has(key)) continue
        if ((await sha256File(disk(key), signal)) === layer.sha256) continue
        faults.push({ key, name: layer.name, fault: 'its disk does not match its digest' })
      }
      return faults
    },
    commit: async (fields) => {
      await flush(disk(fields.key))
      const { size } = await stat(disk(fields.key))
      return adopt({ ...fields, sha256: await sha256File(disk(fields.key), signal), sizeBytes: size })
    },
    keepSource: sources.keep,
    readSource: sources.read,
    sweep: async () => {
      await requireUnlinked(folder, sources.folder)
      // Everything is read before anything is removed.
      const faults = faultsIn(await entries.readAll())
      const unfinished = await sources.unfinished()
      await remove(...faults.map(({ key }) => key))
      const garbage = garbageIn(await namesIn(folder)).map((name) => join(folder, name))
      await someAtATime([...garbage, ...unfinished], removeFile)
      await known.keepOnly(new Set(await namesIn(folder)))
      return faults
    },
  }
}

/** A store whose layers are listed now, for those who only look: a plan of each variant lists all of them. */
export async function listedOnce(store: Store): Promise<Store> {
  const layers = await store.list()
  return { ...store, list: async () => layers }
}

// --- internal ---

/** A single system call, where `rm` makes several. */
async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Unfinished files, and disks without a record. */
function garbageIn(names: readonly string[]): readonly string[] {
  const all = new Set(names)
  return names.filter((name) => {
    const key = /^([0-9a-f]{64})\.qcow2$/.exec(name)?.[1]
    return key === undefined ? /\.(tmp|qcow2)$/.test(name) : !all.has(`${key}.json`)
  })
}

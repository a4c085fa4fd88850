/** The store: every layer that a build has sealed, as `<key>.qcow2` with `<key>.json` beside it. */

import { mkdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sha256 } from '../digest.ts'
import { flush, writeDurably } from '../host/files.ts'
import { sha256File } from '../host/hash-file.ts'
import { readJson } from '../host/json-file.ts'
import { requireUnlinked } from '../host/out-folder.ts'
import { readRegularText } from '../host/regular-file.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { namesIn, sizeIfThere, unlessMissing } from '../host/unless-missing.ts'
import { openKnownDigests } from './known-digests.ts'
import { isLayerKey, type LayerKey } from './layer-key.ts'
import { type Layer, maximumRecordBytes, nameIn, parseLayer } from './layer-record.ts'

/** One thing wrong in a store. */
export interface StoreFault {
  readonly key: LayerKey
  /** The layer's name, if its record is readable. */
  readonly name: string | undefined
  readonly fault: string
}

/** Whatever fails to be read, but is there, throws PipelineError `unreadable`: nothing is removed then. */
export interface Store {
  readonly folder: string
  /** Path of a layer's disk, whether it exists or not. */
  readonly disk: (key: LayerKey) => string
  /** A complete layer, or undefined. Does not read the disk's content. */
  readonly find: (key: LayerKey) => Promise<Layer | undefined>
  /** All complete layers. */
  readonly list: () => Promise<readonly Layer[]>
  /** Checks a layer's disk against its digest; false means damaged. An untouched disk is not read again. */
  readonly verify: (layer: Layer) => Promise<boolean>
  /** Everything wrong with any record or disk, including those that `find` and `list` skip. Reads every disk. */
  readonly inspect: () => Promise<readonly StoreFault[]>
  /** Records the disk at `disk(key)` as a layer. Once this returns, the layer survives a power cut. */
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
   * gone. Returns the layers among them, and reads no disk.
   */
  readonly sweep: () => Promise<readonly StoreFault[]>
}

/**
 * Opens the store in `folder`, which need not exist yet.
 * @param confirm called before every change that others rely on; throws if it must not be made
 * @param signal ends the reading of disks
 */
export function openStore(
  folder: string,
  confirm: () => Promise<void> = async () => undefined,
  signal?: AbortSignal,
): Store {
  const disk = (key: LayerKey) => join(folder, `${key}.qcow2`)
  const record = (key: LayerKey) => join(folder, `${key}.json`)
  const source = (digest: string) => join(folder, 'sources', digest)

  const readEntry = async (key: LayerKey): Promise<Entry> => {
    const value = await readJson(record(key), maximumRecordBytes)
    const layer = parseLayer(value)
    const isOwn = layer?.key === key
    return {
      key,
      layer: isOwn ? layer : undefined,
      name: nameIn(value),
      diskBytes: await sizeIfThere(disk(key)),
    }
  }

  const recordedKeys = async (): Promise<readonly LayerKey[]> => {
    const names = (await namesIn(folder)).filter((name) => name.endsWith('.json'))
    return names.map((name) => name.slice(0, -'.json'.length)).filter(isLayerKey)
  }

  const readAll = async (): Promise<readonly Entry[]> => someAtATime(await recordedKeys(), readEntry)

  const find = async (key: LayerKey): Promise<Layer | undefined> => completeIn(await readEntry(key))

  const list = async (): Promise<readonly Layer[]> =>
    (await readAll()).map(completeIn).filter((layer) => layer !== undefined)

  const known = openKnownDigests(join(folder, 'digests.json'), signal)

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
    find,
    list,
    remove,
    adopt,
    verify: async ({ key, sha256 }) => (await unlessMissing(disk(key), () => known.of(disk(key)))) === sha256,
    inspect: async () => {
      const entries = await readAll()
      const faults = faultsIn(entries)
      for (const { key, layer } of entries) {
        if (layer === undefined || faults.some((fault) => fault.key === key)) continue
        if ((await sha256File(disk(key), signal)) === layer.sha256) continue
        faults.push({ key, name: layer.name, fault: 'its disk is not what its digest says' })
      }
      return faults
    },
    commit: async (fields) => {
      await flush(disk(fields.key))
      const { size } = await stat(disk(fields.key))
      return adopt({ ...fields, sha256: await sha256File(disk(fields.key), signal), sizeBytes: size })
    },
    keepSource: async (bytes) => {
      const path = source(sha256(bytes))
      await mkdir(dirname(path), { recursive: true })
      if ((await sizeIfThere(path)) === undefined) await writeDurably(path, bytes)
    },
    readSource: (digest) => readRegularText(source(digest)).catch(() => undefined),
    sweep: async () => {
      await requireUnlinked(folder, join(folder, 'sources'))
      // Everything is read before anything is removed.
      const faults = faultsIn(await readAll())
      const sources = await namesIn(join(folder, 'sources'))
      await remove(...faults.map(({ key }) => key))
      const names = new Set(await namesIn(folder))
      const garbage = [...names].filter((name) => {
        const key = /^([0-9a-f]{64})\.qcow2$/.exec(name)?.[1]
        return key === undefined ? /\.(tmp|qcow2)$/.test(name) : !names.has(`${key}.json`)
      })
      const halfKept = sources.filter((name) => name.endsWith('.tmp')).map((name) => join('sources', name))
      await someAtATime([...garbage, ...halfKept], (name) => removeFile(join(folder, name)))
      await known.keepOnly(new Set(await namesIn(folder)))
      return faults
    },
  }
}

// --- internal ---

/** One call, where `rm` makes several. */
async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** A recorded layer as it was found. */
interface Entry {
  readonly key: LayerKey
  /** Undefined if the file is not a record of it. */
  readonly layer: Layer | undefined
  readonly name: string | undefined
  /** Undefined if there is no disk. */
  readonly diskBytes: number | undefined
}

function completeIn({ layer, diskBytes }: Entry): Layer | undefined {
  return layer !== undefined && diskBytes === layer.sizeBytes ? layer : undefined
}

/** What is wrong with layers, without reading their disks. */
function faultsIn(entries: readonly Entry[]): StoreFault[] {
  const complete = new Set(entries.filter((entry) => completeIn(entry) !== undefined).map(({ key }) => key))
  return entries.flatMap((entry) => {
    const fault = faultOf(entry, complete)
    return fault === undefined ? [] : [{ key: entry.key, name: entry.name, fault }]
  })
}

function faultOf({ layer, name, diskBytes }: Entry, complete: ReadonlySet<LayerKey>): string | undefined {
  if (layer === undefined)
    return name === undefined ? 'its record cannot be read' : 'its record is not what its key was made from'
  if (diskBytes === undefined) return 'its disk is missing'
  if (diskBytes !== layer.sizeBytes) return `its disk has ${diskBytes} bytes instead of ${layer.sizeBytes}`
  const isOnSound = layer.parent === null || complete.has(layer.parent)
  return isOnSound ? undefined : 'the layer below it is missing or damaged'
}

/** Keys, and those of all layers above them, each after the ones above it. */
function withThoseAbove(keys: readonly LayerKey[], layers: readonly Layer[]): ReadonlySet<LayerKey> {
  const above = new Map<LayerKey, LayerKey[]>()
  for (const { key, parent } of layers) {
    if (parent === null) continue
    const siblings = above.get(parent)
    if (siblings === undefined) above.set(parent, [key])
    else siblings.push(key)
  }
  const found = new Set<LayerKey>()
  const visit = (key: LayerKey): void => {
    if (found.has(key)) return
    for (const higher of above.get(key) ?? []) visit(higher)
    found.add(key)
  }
  for (const key of keys) visit(key)
  return found
}

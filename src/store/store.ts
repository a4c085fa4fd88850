/** The store: every layer that a build has sealed, as `<key>.qcow2` with `<key>.json` beside it. */

import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { sha256, sha256File } from '../digest.ts'
import type { Layout } from '../disk/layout.ts'
import { flush, writeDurably } from '../host/files.ts'
import type { PackageChange, StageArtifact } from '../report/report.ts'
import { openKnownDigests } from './known-digests.ts'
import { isLayerKey, keyOf, type LayerKey, type LayerParts, parentOf } from './layer-key.ts'

/** The disk as one stage (or the installer) left it, and how it was made. */
export interface Layer {
  readonly key: LayerKey
  /** `base`, or the stage's name. */
  readonly name: string
  /** Key of the layer below; null for the base. */
  readonly parent: LayerKey | null
  /** The parts that the key is the digest of. */
  readonly parts: LayerParts
  /** Digest and size of the qcow2 file. */
  readonly sha256: string
  readonly sizeBytes: number
  /** ISO 8601. */
  readonly createdAt: string
  /** How long the layer took to make, in seconds. */
  readonly buildTimeSeconds: number
  /** Path of the log, relative to `out/`. */
  readonly log: string
  readonly artifacts: readonly StageArtifact[]
  readonly packages: PackageChange
  /** Where the partitions of a base are; absent if that follows from its key. */
  readonly layout?: Layout
  /** Digests of the files that installed a base, by name; absent if a tool of the host did. */
  readonly installerFiles?: Readonly<Record<string, string>>
  /** Bytes the guest wrote to the disk. */
  readonly bytesWritten: number
  /** How long the guest was frozen for the checkpoint, and for saving its state if that was done. */
  readonly heldSeconds?: number
  /** Versions of the host's tools. */
  readonly tools: Readonly<Record<string, string>>
}

/** One thing wrong in a store. */
export interface StoreFault {
  readonly key: LayerKey
  /** The layer's name, if its record is readable. */
  readonly name: string | undefined
  readonly fault: string
}

const digest = z.string().regex(/^[0-9a-f]{64}$/)

/** The fields that a plan depends on; the rest is for people. */
const recordSchema = z.looseObject({
  key: digest,
  name: z.string(),
  parent: digest.nullable(),
  parts: z.record(z.string(), z.unknown()),
  sha256: digest,
  sizeBytes: z.int(),
  createdAt: z.string(),
  buildTimeSeconds: z.number(),
  artifacts: z.array(z.unknown()),
  packages: z.object({
    added: z.array(z.unknown()),
    removed: z.array(z.unknown()),
    upgraded: z.array(z.unknown()),
  }),
})

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
  /** Removes a layer and every layer above it. */
  readonly remove: (key: LayerKey) => Promise<void>
  /** Keeps a text that went into a key, under its sha256, to show later what changed. */
  readonly keepSource: (bytes: Uint8Array) => Promise<void>
  readonly readSource: (digest: string) => Promise<string | undefined>
  /**
   * Removes what is useless: disks without a record, records whose disk is missing or truncated, and layers whose parent is
   * gone. Returns the layers among them, and reads no disk.
   */
  readonly sweep: () => Promise<readonly StoreFault[]>
}

/** Whether a record's key and parent follow from its parts. */
function isOfItsParts({ key, parent, parts }: Layer): boolean {
  return keyOf(parts) === key && parentOf(parts) === parent
}

/**
 * Opens the store in `folder`, which need not exist yet.
 * @param confirm called before every change that others rely on; throws if it must not be made
 */
export function openStore(folder: string, confirm: () => Promise<void> = async () => undefined): Store {
  const disk = (key: LayerKey) => join(folder, `${key}.qcow2`)
  const record = (key: LayerKey) => join(folder, `${key}.json`)
  const source = (digest: string) => join(folder, 'sources', digest)

  const readRecord = async (key: LayerKey): Promise<Layer | undefined> => {
    try {
      const layer: unknown = JSON.parse(await readFile(record(key), 'utf8'))
      const { success, data } = recordSchema.safeParse(layer)
      return success && data.key === key && isOfItsParts(layer as Layer) ? (layer as Layer) : undefined
    } catch {
      return undefined
    }
  }

  /** For messages: the name in a record, even if the rest of the record is broken. */
  const readName = async (key: LayerKey): Promise<string | undefined> => {
    try {
      const { name } = JSON.parse(await readFile(record(key), 'utf8')) as { readonly name?: unknown }
      return typeof name === 'string' ? name : undefined
    } catch {
      return undefined
    }
  }

  const find = async (key: LayerKey): Promise<Layer | undefined> => {
    const layer = await readRecord(key)
    const found = await stat(disk(key)).catch(() => undefined)
    return layer !== undefined && found?.size === layer.sizeBytes ? layer : undefined
  }

  const recordedKeys = async (): Promise<readonly LayerKey[]> => {
    const names = await readdir(folder).catch(() => [])
    return names
      .filter((name) => name.endsWith('.json'))
      .map((name) => name.slice(0, -'.json'.length))
      .filter(isLayerKey)
  }

  const known = openKnownDigests(join(folder, 'digests.json'))

  /** What is wrong with a layer, without reading its disk. */
  const faultOf = async (key: LayerKey): Promise<StoreFault | undefined> => {
    const layer = await readRecord(key)
    const name = layer?.name ?? (await readName(key))
    const fault = (text: string) => ({ key, name, fault: text })
    if (layer === undefined) {
      return fault(
        name === undefined ? 'its record cannot be read' : 'its record is not what its key was made from',
      )
    }
    const found = await stat(disk(key)).catch(() => undefined)
    if (found === undefined) return fault('its disk is missing')
    if (found.size !== layer.sizeBytes)
      return fault(`its disk has ${found.size} bytes instead of ${layer.sizeBytes}`)
    if (layer.parent !== null && (await find(layer.parent)) === undefined) {
      return fault('the layer below it is missing or damaged')
    }
    return undefined
  }

  const deepFaultOf = async (key: LayerKey): Promise<StoreFault | undefined> => {
    const fault = await faultOf(key)
    const layer = fault === undefined ? await find(key) : undefined
    if (layer === undefined || (await sha256File(disk(key))) === layer.sha256) return fault
    return { key, name: layer.name, fault: 'its disk is not what its digest says' }
  }

  const list = async (): Promise<readonly Layer[]> =>
    (await Promise.all((await recordedKeys()).map(find))).filter((layer) => layer !== undefined)

  const remove = async (key: LayerKey): Promise<void> => {
    for (const layer of await list()) if (layer.parent === key) await remove(layer.key)
    await confirm()
    // The record goes first: a disk without a record is garbage, but a record without a disk would be a lie.
    await rm(record(key), { force: true })
    await rm(disk(key), { force: true })
  }

  const adopt = async (layer: Layer): Promise<Layer> => {
    await flush(disk(layer.key))
    await known.learn(disk(layer.key), layer.sha256)
    await confirm()
    await writeDurably(record(layer.key), `${JSON.stringify(layer, null, 2)}\n`)
    return layer
  }

  return {
    folder,
    disk,
    find,
    list,
    remove,
    adopt,
    verify: async (layer) => (await known.of(disk(layer.key)).catch(() => '')) === layer.sha256,
    inspect: async () => {
      const faults: StoreFault[] = []
      for (const key of await recordedKeys()) {
        const fault = await deepFaultOf(key)
        if (fault !== undefined) faults.push(fault)
      }
      return faults
    },
    commit: async (fields) => {
      await flush(disk(fields.key))
      const { size } = await stat(disk(fields.key))
      return adopt({ ...fields, sha256: await sha256File(disk(fields.key)), sizeBytes: size })
    },
    keepSource: async (bytes) => {
      const path = source(sha256(bytes))
      await mkdir(dirname(path), { recursive: true })
      if (!(await stat(path).catch(() => undefined))) await writeDurably(path, bytes)
    },
    readSource: (digest) => readFile(source(digest), 'utf8').catch(() => undefined),
    sweep: async () => {
      const faults = (await Promise.all((await recordedKeys()).map(faultOf))).filter(
        (fault) => fault !== undefined,
      )
      // Removing a layer also removes everything above it.
      for (const { key } of faults) await remove(key)
      const names = new Set(await readdir(folder).catch(() => []))
      const garbage = [...names].filter((name) => {
        const key = /^([0-9a-f]{64})\.qcow2$/.exec(name)?.[1]
        return key === undefined ? /\.(tmp|qcow2)$/.test(name) : !names.has(`${key}.json`)
      })
      const sources = await readdir(join(folder, 'sources')).catch(() => [])
      const halfKept = sources.filter((name) => name.endsWith('.tmp')).map((name) => join('sources', name))
      await Promise.all([...garbage, ...halfKept].map((name) => rm(join(folder, name), { force: true })))
      await known.keepOnly(new Set(await readdir(folder).catch(() => [])))
      return faults
    },
  }
}

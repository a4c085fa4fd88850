/** What is in the folder of a store: records and their disks, sound or not. */

import { join } from 'node:path'
import { readJson } from '../host/json-file.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { namesIn, sizeIfThere } from '../host/unless-missing.ts'
import { isLayerKey, type LayerKey } from './layer-key.ts'
import { type Layer, maximumRecordBytes, nameIn, parseLayer } from './layer-record.ts'

/** One thing wrong in a store. */
export interface StoreFault {
  readonly key: LayerKey
  /** The layer's name, if its record is readable. */
  readonly name: string | undefined
  readonly fault: string
}

/** A recorded layer as it was found. */
export interface Entry {
  readonly key: LayerKey
  /** Undefined if the file is not this layer's record. */
  readonly layer: Layer | undefined
  readonly name: string | undefined
  /** Undefined if there is no disk. */
  readonly diskBytes: number | undefined
}

export interface Entries {
  /** Path of a layer's disk, whether it exists or not. */
  readonly disk: (key: LayerKey) => string
  /** Path of its record. */
  readonly record: (key: LayerKey) => string
  readonly read: (key: LayerKey) => Promise<Entry>
  readonly readAll: () => Promise<readonly Entry[]>
}

export function openEntries(folder: string): Entries {
  const disk = (key: LayerKey) => join(folder, `${key}.qcow2`)
  const record = (key: LayerKey) => join(folder, `${key}.json`)
  const read = async (key: LayerKey): Promise<Entry> => {
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
  const readAll = async (): Promise<readonly Entry[]> => {
    const names = (await namesIn(folder)).filter((name) => name.endsWith('.json'))
    const keys = names.map((name) => name.slice(0, -'.json'.length)).filter(isLayerKey)
    return someAtATime(keys, read)
  }
  return { disk, record, read, readAll }
}

/** The layer, if it is complete. */
export function completeIn({ layer, diskBytes }: Entry): Layer | undefined {
  return layer !== undefined && diskBytes === layer.sizeBytes ? layer : undefined
}

/** What is wrong with layers, without reading their disks. */
export function faultsIn(entries: readonly Entry[]): StoreFault[] {
  const complete = new Set(entries.filter((entry) => completeIn(entry) !== undefined).map(({ key }) => key))
  return entries.flatMap((entry) => {
    const fault = faultOf(entry, complete)
    return fault === undefined ? [] : [{ key: entry.key, name: entry.name, fault }]
  })
}

function faultOf({ layer, name, diskBytes }: Entry, complete: ReadonlySet<LayerKey>): string | undefined {
  if (layer === undefined)
    return name === undefined ? 'its record cannot be read' : 'its record does not match its key'
  if (diskBytes === undefined) return 'its disk is missing'
  if (diskBytes !== layer.sizeBytes) return `its disk has ${diskBytes} bytes instead of ${layer.sizeBytes}`
  const isOnSound = layer.parent === null || complete.has(layer.parent)
  return isOnSound ? undefined : 'the layer below it is missing or damaged'
}

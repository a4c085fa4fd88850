/** What is in the folder of a store: records and their disks, sound or not. */

import { join } from 'node:path'
import { readJson } from '../host/json-file.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { touchOf } from '../host/touch.ts'
import { namesIn, sizeIfThere, unlessMissing } from '../host/unless-missing.ts'
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

/** What a record said when it was last read: parsing it and digesting its parts is most of the work of a list. */
interface KnownRecord extends Pick<Entry, 'layer' | 'name'> {
  readonly mark: string
}

/** An unchanged record is read once. */
export function openEntries(folder: string): Entries {
  const disk = (key: LayerKey) => join(folder, `${key}.qcow2`)
  const record = (key: LayerKey) => join(folder, `${key}.json`)
  const known = new Map<LayerKey, KnownRecord>()
  const recordOf = async (key: LayerKey): Promise<Omit<KnownRecord, 'mark'>> => {
    const path = record(key)
    // Before reading, so that a change during it is noticed the next time.
    const touch = await unlessMissing(path, () => touchOf(path))
    const last = known.get(key)
    if (last !== undefined && last.mark === touch?.mark) return last
    known.delete(key)
    const value = await readJson(path, maximumRecordBytes)
    const layer = parseLayer(value)
    const found = { layer: layer?.key === key ? layer : undefined, name: nameIn(value) }
    if (touch?.isSettled) known.set(key, { ...found, mark: touch.mark })
    return found
  }
  const read = async (key: LayerKey): Promise<Entry> => {
    const { layer, name } = await recordOf(key)
    return { key, layer, name, diskBytes: await sizeIfThere(disk(key)) }
  }
  const readAll = async (): Promise<readonly Entry[]> => {
    const names = (await namesIn(folder)).filter((name) => name.endsWith('.json'))
    const keys = names.map((name) => name.slice(0, -'.json'.length)).filter(isLayerKey)
    const there = new Set(keys)
    for (const key of known.keys()) if (!there.has(key)) known.delete(key)
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

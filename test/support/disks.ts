/** Small raw disks with data at known offsets, and sparse zeros in between. */

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { RawDisk } from '../../src/formats/raw-disk.ts'

/** Bytes by offset on a disk. */
export type Content = Readonly<Record<number, Buffer>>

/** Writes a sparse raw file, and returns where its data is without asking the filesystem. */
export function makeRawDisk(path: string, sizeBytes: number, content: Content): RawDisk {
  const file = openSync(path, 'w')
  ftruncateSync(file, sizeBytes)
  const places = Object.entries(content).map(([start, data]) => ({ start: Number(start), data }))
  for (const { start, data } of places) writeSync(file, data, 0, data.length, start)
  closeSync(file)
  return {
    path,
    sizeBytes,
    extents: places.map(({ start, data }) => ({ start, length: data.length })),
  }
}

/** Compressible text, the same for the same seed. */
export function words(seed: string, bytes: number): Buffer {
  return Buffer.from(
    Array.from({ length: Math.ceil(bytes / 16) }, (_, index) => `${seed} ${index} `.padEnd(16)).join(''),
  ).subarray(0, bytes)
}

/** Incompressible bytes, the same every time. */
export function noise(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  let state = 1
  for (let index = 0; index < bytes; index += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    buffer[index] = state >>> 24
  }
  return buffer
}

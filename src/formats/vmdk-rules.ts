/** The rules for each part of a streamOptimized VMDK that do not depend on what comes before it. */

import { type InputType, inflate, type ZlibOptions } from 'node:zlib'
import { awaitedLater } from '../host/awaited-later.ts'
import { grainBytes } from './grains.ts'
import {
  cylindersOf,
  directoryAtEnd,
  encodeHeader,
  geometry,
  grainSectors,
  type HeaderField,
  headerFields,
  readHeaderField,
} from './vmdk-format.ts'

/** The rules of a VMDK. */
export type VmdkRule =
  | `header-${HeaderField}`
  | 'header-rest'
  | 'descriptor-text'
  | 'descriptor-type'
  | 'descriptor-content-id'
  | 'descriptor-extent'
  | 'descriptor-adapter'
  | 'descriptor-geometry'
  | 'descriptor-hardware'
  | 'whole-sectors'
  | 'not-truncated'
  | 'marker-kind'
  | 'marker-order'
  | 'marker-rest'
  | 'grain-place'
  | 'grain-order'
  | 'grain-size'
  | 'grain-padding'
  | 'grain-data'
  | 'table-missing'
  | 'table-entries'
  | 'directory-entries'
  | 'footer-header'
  | 'end-of-stream'

/** The first rule that a file breaks. */
export class VmdkFault extends Error {
  readonly rule: VmdkRule

  constructor(rule: VmdkRule, message: string) {
    super(`${rule}: ${message}`)
    this.name = 'VmdkFault'
    this.rule = rule
  }
}

/** Returns the capacity in sectors. @throws VmdkFault */
export function checkHeader(header: Buffer): number {
  for (const [name, { value }] of Object.entries(headerFields)) {
    const found = readHeaderField(header, name as HeaderField)
    if (value === undefined || found === value) continue
    throw new VmdkFault(
      `header-${name as HeaderField}`,
      `is 0x${found.toString(16)}, not 0x${value.toString(16)}`,
    )
  }
  const directory = readHeaderField(header, 'directory')
  demand(directory === directoryAtEnd, 'header-directory', `is ${directory}, not at the end`)
  const capacity = readHeaderField(header, 'capacity')
  const isCapacity = capacity > 0n && capacity % BigInt(grainSectors) === 0n && capacity < 2n ** 43n
  demand(isCapacity, 'header-capacity', `${capacity} sectors are not a number of whole grains`)
  demand(header.equals(encodeHeader(Number(capacity))), 'header-rest', 'is not zeros')
  return Number(capacity)
}

export function checkDescriptor(descriptor: Buffer, capacity: number): void {
  const end = descriptor.indexOf(0)
  demand(end > 0 && isZero(descriptor.subarray(end)), 'descriptor-text', 'is not one text followed by zeros')
  const text = descriptor.toString('utf8', 0, end)
  const has = (rule: VmdkRule, pattern: RegExp) => {
    const match = pattern.exec(text)
    demand(match !== null, rule, `nothing in the descriptor matches ${pattern.source}`)
    return match as RegExpExecArray
  }
  has('descriptor-type', /^createType="streamOptimized"$/m)
  has('descriptor-content-id', /^parentCID=ffffffff$/m)
  const [, short = ''] = has('descriptor-content-id', /^CID=([0-9a-f]{8})$/m)
  has('descriptor-content-id', new RegExp(`^ddb\\.longContentID = "[0-9a-f]{24}${short}"$`, 'm'))
  has('descriptor-extent', new RegExp(`^RW ${capacity} SPARSE "[^"\\n]+"$`, 'm'))
  has('descriptor-adapter', /^ddb\.adapterType = "lsilogic"$/m)
  has('descriptor-geometry', new RegExp(`^ddb\\.geometry\\.cylinders = "${cylindersOf(capacity)}"$`, 'm'))
  has('descriptor-geometry', new RegExp(`^ddb\\.geometry\\.heads = "${geometry.heads}"$`, 'm'))
  has('descriptor-geometry', new RegExp(`^ddb\\.geometry\\.sectors = "${geometry.sectors}"$`, 'm'))
  has('descriptor-hardware', /^ddb\.virtualHWVersion = "\d+"$/m)
}

/** Starts to unpack a grain, and resolves once it proves intact. */
export function unpackGrain(grain: number, stored: Buffer): Promise<void> {
  const unpacked = inflateWithInfo(stored, {
    maxOutputLength: grainBytes,
    chunkSize: grainBytes,
    info: true,
  }).then(
    ({ buffer, engine }) => {
      const isWhole = buffer.length === grainBytes && engine.bytesWritten === stored.length
      demand(isWhole, 'grain-data', `grain ${grain} unpacks to ${buffer.length} bytes`)
    },
    (cause: Error) => {
      throw new VmdkFault('grain-data', `grain ${grain} cannot be unpacked: ${cause.message}`)
    },
  )
  return awaitedLater(unpacked)
}

interface InflatedInfo {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

function inflateWithInfo(data: InputType, options: ZlibOptions): Promise<InflatedInfo> {
  return new Promise((resolve, reject) => {
    // With `info`, the result is an object, which the types do not declare.
    inflate(data, options, (error, result) =>
      error === null ? resolve(result as unknown as InflatedInfo) : reject(error),
    )
  })
}

export function isZero(buffer: Buffer): boolean {
  return buffer.every((byte) => byte === 0)
}

/** @throws VmdkFault unless the condition holds */
export function demand(condition: boolean, rule: VmdkRule, message: string): void {
  if (!condition) throw new VmdkFault(rule, message)
}

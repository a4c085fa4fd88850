/**
 * The record of a layer. Its schema is strict, wherever a record comes from: this store, an older program or a registry. The
 * content of a record ends up in the arguments of programs and in the provenance of releases.
 */

import { z } from 'zod'
import type { Json } from '../digest.ts'
import { artifactSchema, digestSchema, originSchema, packageChangeSchema } from '../report/report.ts'
import { lineOf, pathBelow } from '../text.ts'
import { isLayerKey, keyOf, type LayerKey, type LayerParts, parentOf, repackName } from './layer-key.ts'

/** Larger files are not records: the largest, a base layer's, lists some hundred packages. */
export const maximumRecordBytes = 8 * 1024 ** 2

const key = z.custom<LayerKey>((value) => typeof value === 'string' && isLayerKey(value))
const instant = z.iso.datetime()
const seconds = z.number().min(0).max(1e8)
const bytes = z.int().min(0)
const tools = z.record(lineOf(64), lineOf(200))

/** A part may be any JSON value: the key is its digest. Deeply nested values would exhaust the stack of whatever reads them. */
const json = z.custom<Json>((value) => isShallow(value, 8))

const baseParts = z
  .object({
    format: z.int(),
    installer: lineOf(40),
    suite: lineOf(40),
    arch: lineOf(40),
    scripts: z.array(digestSchema),
    command: digestSchema,
    parent: z.undefined().optional(),
  })
  .catchall(json)

const stageParts = z.strictObject({
  format: z.int(),
  name: lineOf(100),
  script: digestSchema,
  environment: z.record(z.string(), z.string()),
  sourceDateEpoch: z.int(),
  files: z.record(z.string(), z.record(z.string(), z.string())),
  leaves: z.array(z.string()),
  network: z.boolean(),
  parent: key,
})

const repackParts = z.strictObject({
  format: z.int(),
  name: z.literal(repackName),
  revision: z.int(),
  sourceDateEpoch: z.int(),
  parent: key,
})

const anyParts = z.union([stageParts, repackParts, baseParts])

/** MBR has 32 bits for a sector number. */
const lastSector = 2 ** 32 - 1

const partition = z.strictObject({
  mount: z
    .string()
    .max(255)
    .regex(/^\/[\w./-]*$/)
    .optional(),
  filesystem: z.enum(['ext2', 'ext4', 'swap', 'vfat']),
  sizeMiB: z.int().min(1).optional(),
  grow: z.boolean(),
  primary: z.boolean(),
  bootable: z.boolean(),
  reservedPercent: z.number().min(0).max(100),
  number: z.int().min(1).max(127),
  startSector: z.int().min(1).max(lastSector),
  sectors: z.int().min(1).max(lastSector),
  uuid: z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|^[0-9A-F]{4}-[0-9A-F]{4}$/),
})

const layout = z.strictObject({
  sizeBytes: bytes,
  diskId: z.string().regex(/^([0-9a-f]{8})?$/),
  extended: partition.pick({ number: true, startSector: true, sectors: true }).optional(),
  partitions: z.array(partition).min(1).max(32).readonly(),
})

const layerSchema = z.strictObject({
  key,
  /** `base`, or the stage's name. */
  name: z
    .string()
    .max(100)
    .regex(/^[a-z0-9][\w.-]*$/i),
  /** Key of the layer below; null for the base. */
  parent: key.nullable(),
  /** The parts that the key is the digest of. */
  parts: z.custom<LayerParts>((value) => anyParts.safeParse(value).success),
  /** Digest and size of the qcow2 file. */
  sha256: digestSchema,
  sizeBytes: bytes,
  createdAt: instant,
  /** How long the layer took to make. */
  buildTimeSeconds: seconds,
  /** Path of the log, relative to `out/`; empty if there is none. */
  log: pathBelow.or(z.literal('')),
  artifacts: z.array(artifactSchema).readonly(),
  packages: packageChangeSchema,
  /** Where the partitions of a base layer are; absent if that follows from its key. */
  layout: layout.optional(),
  /** Digests of the files that installed a base layer, by name; absent if a tool of the host did. */
  installerFiles: z.record(lineOf(200), digestSchema).optional(),
  /** Bytes the guest wrote to the disk. */
  bytesWritten: bytes,
  /** How long the guest was frozen for the checkpoint, and for saving its state if that was done. */
  heldSeconds: seconds.optional(),
  /** Versions of the host's tools. */
  tools,
  /** Absent for a layer made here. */
  origin: originSchema.optional(),
})

/** The disk as a stage or the installer left it, and how it was made. */
export type Layer = Readonly<z.output<typeof layerSchema>>

export type LayerOrigin = Readonly<z.output<typeof originSchema>>

/** A layer; undefined if a value is not the record of one, or if its key or parent does not match its parts. */
export function parseLayer(value: unknown): Layer | undefined {
  const { data } = layerSchema.safeParse(value)
  if (data === undefined) return undefined
  const isOfItsParts = keyOf(data.parts) === data.key && parentOf(data.parts) === data.parent
  return isOfItsParts ? data : undefined
}

/** For messages: the name in a record, even if the rest of it is broken. */
export function nameIn(value: unknown): string | undefined {
  return layerSchema.shape.name.safeParse((value as { readonly name?: unknown } | null)?.name).data
}

// --- internal ---

function isShallow(value: unknown, depth: number): boolean {
  if (value === null || ['string', 'boolean'].includes(typeof value)) return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || depth === 0) return false
  return Object.values(value).every((inner) => isShallow(inner, depth - 1))
}

/**
 * A layer as an OCI artifact: its record is the config, and its zstd-compressed disk the only blob. On disk, it has the
 * layout of skopeo's `dir`: blobs named by digest, and `manifest.json`.
 */

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { sha256 } from '../digest.ts'
import { awaitedLater } from '../host/awaited-later.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { makeFolder } from '../host/files.ts'
import { readJson } from '../host/json-file.ts'
import { openToRead, readRegular } from '../host/regular-file.ts'
import type { SshTrust } from '../host/ssh-signature.ts'
import { createWriteStream, writeFile } from '../host/writing.ts'
import type { LayerKey } from './layer-key.ts'
import { type Layer, type LayerOrigin, maximumRecordBytes, parseLayer } from './layer-record.ts'
import { signatureAnnotation, signLayer, verifyLayer } from './layer-signature.ts'
import type { Store } from './store.ts'

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  record: 'application/vnd.systemvm-image.layer.config.v1+json',
  disk: 'application/vnd.systemvm-image.layer.v1.qcow2+zstd',
} as const

const descriptor = (mediaType: string) =>
  z.strictObject({
    mediaType: z.literal(mediaType),
    digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    size: z.int().min(0),
  })

const manifestSchema = z.strictObject({
  schemaVersion: z.literal(2),
  mediaType: z.literal(types.manifest),
  config: descriptor(types.record),
  layers: z.tuple([descriptor(types.disk)]),
  annotations: z.strictObject({ [signatureAnnotation]: z.string().max(16_384) }).optional(),
})

/** A layer from elsewhere that is not what it claims to be. Nothing of it is kept. */
export class WrongLayer extends Error {}

export interface PackRequest {
  readonly layer: Layer
  /** Contains the layer. */
  readonly store: Store
  /** Path of a new folder. */
  readonly folder: string
  /** Path of the SSH key that signs it; undefined leaves it unsigned. */
  readonly signingKey: string | undefined
  readonly signal: AbortSignal
}

/** Writes a layer as an artifact. @throws PipelineError `signing-failed`, `tools` */
export async function packLayer({ layer, store, folder, signingKey, signal }: PackRequest): Promise<void> {
  await makeFolder(folder)
  // Left out, since each reader records where it got the layer.
  const { origin: _origin, ...made } = layer
  const record = Buffer.from(JSON.stringify(made))
  const packed = join(folder, 'packed')
  const zstd = spawn('zstd', ['-q', '-T0', '-3', '-c', '--', store.disk(layer.key)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: bareEnvironment().env,
    signal,
  })
  const disk = await writeHashed(zstd, packed, Number.POSITIVE_INFINITY, signal)
  await rename(packed, join(folder, disk.digest))
  await writeFile(join(folder, sha256(record)), record)
  const digests = { record: `sha256:${sha256(record)}`, disk: `sha256:${disk.digest}` }
  const signature = signingKey && (await signLayer({ key: layer.key, ...digests }, signingKey))
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.record, digest: digests.record, size: record.length },
    layers: [{ mediaType: types.disk, digest: digests.disk, size: disk.bytes }],
    ...(signature === undefined ? {} : { annotations: { [signatureAnnotation]: signature } }),
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
  await writeFile(join(folder, 'version'), 'Directory Transport Version: 1.1\n')
}

export interface UnpackRequest {
  /** Artifact in skopeo's `dir` layout. */
  readonly folder: string
  /** The layer that was asked for. */
  readonly key: LayerKey
  /** Size of the disk in it. */
  readonly diskBytes: number
  readonly origin: Omit<LayerOrigin, 'signedBy'>
  /** Whose signature is required; undefined accepts a layer from anyone who can write to the registry. */
  readonly trust: SshTrust | undefined
  /** Contains the layers below. */
  readonly store: Store
  readonly signal: AbortSignal
}

/** Takes a layer from a folder into a store. @throws WrongLayer if it is a different layer, incomplete, or too large */
export async function unpackLayer(request: UnpackRequest): Promise<Layer> {
  const { folder, key, diskBytes, store, signal } = request
  const manifest = await readManifest(folder)
  // Checked before reading anything else in it.
  const origin = await identify(manifest, request)
  const { record, disk } = manifest
  const layer = parseRecord(await readJson(record, maximumRecordBytes), key)
  if (layer.sizeBytes > mostBytesOf(diskBytes))
    throw new WrongLayer('its disk is larger than that of the plan')
  if (layer.parent !== null && (await store.find(layer.parent)) === undefined)
    throw new WrongLayer('the layer below it is missing')
  await makeFolder(store.folder, 0o700)
  // If this is interrupted, the store sweeps away what is left.
  const partial = `${store.disk(key)}.tmp`
  // Left by a killed run, or a link: nothing is written to its target.
  await rm(partial, { force: true })
  try {
    const zstd = spawn('zstd', ['-q', '-d', '-c', '--', disk], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: bareEnvironment().env,
      signal,
    })
    const written = await writeHashed(zstd, partial, layer.sizeBytes, signal)
    if (written.digest !== layer.sha256) throw new WrongLayer('its disk does not match its digest')
    await requireHeader(partial, layer, diskBytes)
    await rename(partial, store.disk(key))
  } finally {
    await rm(partial, { force: true })
  }
  return store.adopt({ ...layer, origin })
}

/** Maximum size of a layer's qcow2 in bytes: each cluster of its disk once, and tables of less than a hundredth of it. */
export function mostBytesOf(diskBytes: number): number {
  return Math.ceil(diskBytes * 1.01) + 16 * 1024 ** 2
}

// --- internal ---

interface FoundArtifact {
  /** Paths of the blobs. */
  readonly record: string
  readonly disk: string
  readonly signature: string | undefined
}

/** Where the layer comes from, and who signed it if that is required. @throws WrongLayer */
async function identify(
  { record, disk, signature }: FoundArtifact,
  { folder, key, origin, trust }: UnpackRequest,
): Promise<LayerOrigin> {
  if (trust === undefined) return origin
  const digests = { record: `sha256:${basename(record)}`, disk: `sha256:${basename(disk)}` }
  const verdict = await verifyLayer({ key, ...digests }, signature, trust, join(folder, 'signature'))
  if ('fault' in verdict) throw new WrongLayer(verdict.fault)
  return { ...origin, signedBy: verdict.signedBy }
}

/** Checks the record's digest; the disk's is checked when it is unpacked. @throws WrongLayer */
async function readManifest(folder: string): Promise<FoundArtifact> {
  const parsed = manifestSchema.safeParse(await readJson(join(folder, 'manifest.json'), maximumRecordBytes))
  if (!parsed.success) throw new WrongLayer('it is not a layer')
  const [disk] = parsed.data.layers
  const paths = [parsed.data.config, disk].map(({ digest }) => digest.replace('sha256:', ''))
  for (const [index, { size }] of [parsed.data.config, disk].entries()) {
    const path = join(folder, paths[index] as string)
    const found = await stat(path).catch(() => undefined)
    if (found?.size !== size) throw new WrongLayer('one of its blobs is truncated')
  }
  const [record, blob] = paths.map((name) => join(folder, name)) as [string, string]
  if (sha256(await readRegular(record, maximumRecordBytes)) !== paths[0])
    throw new WrongLayer('its record does not match its digest')
  return { record, disk: blob, signature: parsed.data.annotations?.[signatureAnnotation] }
}

/** A record with the requested key, which must match its parts. */
function parseRecord(value: unknown, key: LayerKey): Layer {
  const layer = parseLayer(value)
  if (layer === undefined) throw new WrongLayer('its record is not valid')
  if (layer.key !== key) throw new WrongLayer('it is not the layer that was asked for')
  if (layer.origin !== undefined) throw new WrongLayer('its record says where it was pulled from')
  return layer
}

/** The qcow2 header fields through which the disk's content and size could come from elsewhere. All numbers are big-endian. */
const header = {
  bytes: 104,
  backingAt: 8,
  backingLength: 16,
  diskBytes: 24,
  encryption: 32,
  snapshots: 60,
  features: 72,
  additions: 88,
} as const

/** Guards against a disk with a backing file that could pull any host file into the image. @throws WrongLayer */
async function requireHeader(path: string, { parent }: Layer, diskBytes: number): Promise<void> {
  const file = await openToRead(path)
  try {
    const bytes = Buffer.alloc(header.bytes)
    await file.read(bytes, 0, bytes.length, 0)
    const [at, length] = [
      Number(bytes.readBigUInt64BE(header.backingAt)),
      bytes.readUInt32BE(header.backingLength),
    ]
    const name = Buffer.alloc(Math.min(length, 1024))
    if (at > 0) await file.read(name, 0, name.length, at)
    const expected = parent === null ? '' : `${parent}.qcow2`
    const isQcow2 = bytes.toString('latin1', 0, 4) === 'QFI\xfb' && bytes.readUInt32BE(4) === 3
    // Features that a reader has to know: an external data file, encryption, and whatever the future brings.
    const isPlain =
      bytes.readBigUInt64BE(header.features) === 0n && bytes.readUInt32BE(header.encryption) === 0
    const isAlone = bytes.readUInt32BE(header.snapshots) === 0
    // Dirty bitmaps, each of which can take any amount of memory.
    const hasAdditions = bytes.readBigUInt64BE(header.additions) !== 0n
    if (!isQcow2 || !isPlain || !isAlone || hasAdditions)
      throw new WrongLayer('its disk is not a plain qcow2')
    if ((at === 0 ? '' : name.toString()) !== expected)
      throw new WrongLayer('its disk has the wrong backing file')
    if (bytes.readBigUInt64BE(header.diskBytes) !== BigInt(diskBytes))
      throw new WrongLayer('its disk has another size than that of the plan')
  } finally {
    await file.close()
  }
}

/** Streams a program's output, which may be long, to a file, and returns its digest and size. */
async function writeHashed(
  program: ChildProcessByStdio<null, Readable, null>,
  path: string,
  maximumBytes: number,
  signal: AbortSignal,
): Promise<{ readonly digest: string; readonly bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  const ended = awaitedLater(
    new Promise<number | null>((resolve, reject) => {
      program.once('close', resolve)
      program.once('error', reject)
    }),
  )
  await pipeline(
    program.stdout,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        bytes += chunk.length
        if (bytes > maximumBytes) throw new WrongLayer('its disk is longer than its record says')
        yield chunk
      }
    },
    createWriteStream(path, { flags: 'wx', highWaterMark: 1 << 20 }),
    { signal },
  )
  if ((await ended) !== 0) throw new WrongLayer('its blob cannot be unpacked')
  return { digest: hash.digest('hex'), bytes }
}

/**
 * A layer as an OCI artifact: its record is the config, its zstd-compressed disk the only blob. On disk it has the layout
 * of skopeo's `dir`: blobs named by digest, and `manifest.json`.
 */

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { sha256, sha256File } from '../digest.ts'
import { keyOf, type LayerKey, parentOf } from './layer-key.ts'
import type { Layer, Store } from './store.ts'

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  record: 'application/vnd.systemvm-image.layer.config.v1+json',
  disk: 'application/vnd.systemvm-image.layer.v1.qcow2+zstd',
} as const

const descriptor = (mediaType: string) =>
  z.object({
    mediaType: z.literal(mediaType),
    digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    size: z.int(),
  })

const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  config: descriptor(types.record),
  layers: z.tuple([descriptor(types.disk)]),
})

/** A layer from elsewhere that is not what it claims to be. Nothing of it is kept. */
export class WrongLayer extends Error {}

/** Writes a layer as an artifact into a new folder. */
export async function packLayer(
  layer: Layer,
  store: Store,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const record = Buffer.from(JSON.stringify(layer))
  const packed = join(folder, 'packed')
  const zstd = spawn('zstd', ['-q', '-T0', '-3', '-c', store.disk(layer.key)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    signal,
  })
  const disk = await writeHashed(zstd, packed, Number.POSITIVE_INFINITY, signal)
  await rename(packed, join(folder, disk.digest))
  await writeFile(join(folder, sha256(record)), record)
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.record, digest: `sha256:${sha256(record)}`, size: record.length },
    layers: [{ mediaType: types.disk, digest: `sha256:${disk.digest}`, size: disk.bytes }],
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
  await writeFile(join(folder, 'version'), 'Directory Transport Version: 1.1\n')
}

/**
 * Takes a layer from a folder into a store that already has the layers below it.
 * @param key the layer that was asked for
 * @throws WrongLayer when it is a different layer, or incomplete
 */
export async function unpackLayer(
  folder: string,
  key: LayerKey,
  store: Store,
  signal: AbortSignal,
): Promise<Layer> {
  const { record, disk } = await readManifest(folder)
  const layer = parseRecord(await readFile(record), key)
  if (layer.parent !== null && (await store.find(layer.parent)) === undefined)
    throw new WrongLayer('the layer below it is not here')
  await mkdir(store.folder, { recursive: true, mode: 0o700 })
  // If this is cut short, the store sweeps away what is left.
  const partial = `${store.disk(key)}.tmp`
  try {
    const zstd = spawn('zstd', ['-q', '-d', '-c', disk], { stdio: ['ignore', 'pipe', 'ignore'], signal })
    const written = await writeHashed(zstd, partial, layer.sizeBytes, signal)
    if (written.digest !== layer.sha256) throw new WrongLayer('its disk is not what its digest says')
    await requireBacking(partial, layer)
    await rename(partial, store.disk(key))
  } finally {
    await rm(partial, { force: true })
  }
  return store.adopt(layer)
}

// --- internal ---

/** Paths of an artifact's two blobs. Checks the record's digest here; the disk's is checked when it is unpacked. */
async function readManifest(folder: string): Promise<{ readonly record: string; readonly disk: string }> {
  const parsed = manifestSchema.safeParse(
    await readFile(join(folder, 'manifest.json'), 'utf8')
      .then(JSON.parse)
      .catch(() => undefined),
  )
  if (!parsed.success) throw new WrongLayer('it is not a layer')
  const [disk] = parsed.data.layers
  const paths = [parsed.data.config, disk].map(({ digest }) => digest.replace('sha256:', ''))
  for (const [index, { size }] of [parsed.data.config, disk].entries()) {
    const path = join(folder, paths[index] as string)
    const found = await stat(path).catch(() => undefined)
    if (found?.size !== size) throw new WrongLayer('one of its blobs is truncated')
  }
  const [record, blob] = paths.map((name) => join(folder, name)) as [string, string]
  if ((await sha256File(record)) !== paths[0]) throw new WrongLayer('its record is not what its digest says')
  return { record, disk: blob }
}

const identity = z.looseObject({
  key: z.string(),
  parent: z.string().nullable(),
  parts: z.record(z.string(), z.unknown()),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.int().min(0),
})

/** A record whose key follows from its parts and is the one asked for. */
function parseRecord(bytes: Buffer, key: LayerKey): Layer {
  const parsed = identity.safeParse(parseJson(bytes))
  if (!parsed.success) throw new WrongLayer('its record has a different format')
  const layer = parsed.data as unknown as Layer
  const isRight = keyOf(layer.parts) === key && layer.key === key && parentOf(layer.parts) === layer.parent
  if (!isRight) throw new WrongLayer('it is not the layer that was asked for')
  return layer
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

/** Bit of a qcow2 header: the data is in another file. */
const externalDataFile = 4

/** Guards against a disk whose backing could pull any host file into the image. @throws WrongLayer */
async function requireBacking(path: string, { parent }: Layer): Promise<void> {
  const file = await open(path, 'r')
  try {
    const header = Buffer.alloc(80)
    await file.read(header, 0, header.length, 0)
    const [at, length] = [Number(header.readBigUInt64BE(8)), header.readUInt32BE(16)]
    const name = Buffer.alloc(Math.min(length, 1024))
    if (at > 0) await file.read(name, 0, name.length, at)
    const expected = parent === null ? '' : `${parent}.qcow2`
    const isQcow2 = header.toString('latin1', 0, 4) === 'QFI\xfb'
    const isAlone = header.readUInt32BE(4) < 3 || (header.readUInt32BE(76) & externalDataFile) === 0
    const backing = at === 0 ? '' : name.toString()
    if (!isQcow2 || !isAlone || backing !== expected)
      throw new WrongLayer('its disk has the wrong backing file')
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
  const ended = new Promise<number | null>((resolve, reject) => {
    program.once('close', resolve)
    program.once('error', reject)
  })
  ended.catch(() => undefined)
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
    createWriteStream(path, { highWaterMark: 1 << 20 }),
    { signal },
  )
  if ((await ended) !== 0) throw new WrongLayer('its blob cannot be unpacked')
  return { digest: hash.digest('hex'), bytes }
}

/** Makes a file for each target of an image, in parallel, unless it exists already. */

import { rm, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { z } from 'zod'
import type { ResolvedImage } from '../config/resolved.ts'
import { canonicalJson, sha256 } from '../digest.ts'
import { openChain } from '../disk/chain.ts'
import { hasChecksums } from '../export/checksums.ts'
import { digestContent } from '../export/content-digest.ts'
import { dependenciesOf, imageName } from '../export/image-file.ts'
import { writeMetadata } from '../export/metadata.ts'
import { writeRepository } from '../export/repository.ts'
import { exportSideBySide, type MadeFile } from '../export/side-by-side.ts'
import { makeFolder, stampOf, writeDurably } from '../host/files.ts'
import { readRecord as readRecordFile } from '../host/json-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import type { Plan } from '../plan/plan.ts'
import type { Emit } from '../report/events.ts'
import { type ImageResult, imageSchema } from '../report/report.ts'
import { layersOf } from '../store/chain.ts'
import type { Layer } from '../store/layer-record.ts'
import { type TargetName, targets } from '../targets/registry.ts'

export interface ExportRequest {
  readonly image: ResolvedImage
  readonly layer: Layer
  /** The layer's qcow2 file. */
  readonly layerDisk: string
  readonly outFolder: string
  readonly estimate: (name: string) => number | undefined
  /** Called before a file gets its name; throws if it must not. */
  readonly confirm?: () => Promise<void>
  readonly emit: Emit
  readonly signal: AbortSignal
}

/**
 * Exports the final layer for every target of the image. Finished files stay if another target fails.
 * @throws the first failure, once all others have ended
 */
export async function exportImages(request: ExportRequest): Promise<readonly ImageResult[]> {
  const { image, layer, outFolder, emit } = request
  const known = new Map<TargetName, ImageResult>()
  for (const target of image.targets) {
    const record = await readRecord(image, layer, outFolder, target)
    if (record === undefined) continue
    // Older records call every Hyper-V file a VHD.
    const result = { ...record.image, format: targets[target].format(image.formats[target]) }
    known.set(target, result)
    emit({ kind: 'image-finished', image: result, cached: true })
  }
  const missing = image.targets.filter((target) => !known.has(target))
  if (missing.length > 0) {
    for (const result of await exportMissing(request, missing)) known.set(result.target as TargetName, result)
  }
  const results = image.targets.flatMap((target) => known.get(target) ?? [])
  // Written even if no file was made, since its content may have changed. Without a contract, an image is not a system VM.
  if (image.verification.contract !== 'none')
    await writeMetadata(outFolderAt(outFolder).images, image, results)
  if (image.repository) await writeRepository(outFolder, image, results, request.signal)
  return results
}

/** Whether a plan has nothing left to do: every layer is cached, and every target's file exists. */
export async function isFinished(plan: Plan, outFolder: string): Promise<boolean> {
  const layers = layersOf(plan).map(({ cached }) => cached)
  const last = layers.at(-1)
  return last !== undefined && !layers.includes(undefined) && areExported(plan.image, last, outFolder)
}

/** Whether every target's file exists and was made from this layer. */
export async function areExported(image: ResolvedImage, layer: Layer, outFolder: string): Promise<boolean> {
  const known = await Promise.all(image.targets.map((target) => readRecord(image, layer, outFolder, target)))
  return known.every((record) => record !== undefined)
}

async function exportMissing(
  request: ExportRequest,
  missing: readonly TargetName[],
): Promise<readonly ImageResult[]> {
  const { image, layerDisk, outFolder, emit, estimate, signal } = request
  const { images, unfinishedImages } = outFolderAt(outFolder)
  await makeFolder(images)
  const [{ node }] = await openChain(layerDisk, 'qcow2', 'same folder')
  return exportSideBySide({
    ...image,
    disk: node,
    workFolder: unfinishedImages,
    // Digest of the content: layers with the same content may be different files.
    findKey: async (disk) => digestContent(disk, signal),
    targets: missing,
    fileOf: (target) => imagePaths(image, outFolder, target).file,
    // The old record would no longer be true.
    onBegin: (target) => rm(imagePaths(image, outFolder, target).record, { force: true }),
    onFile: (file) => recordImage(request, file),
    ...(request.confirm === undefined ? {} : { confirm: request.confirm }),
    estimate,
    emit,
    signal,
  })
}

/** Records what is known about a file, so that it is not made again. */
async function recordImage(
  { image, layer, outFolder, emit }: ExportRequest,
  { target, path, checksums, virtualSizeBytes, seconds }: MadeFile,
): Promise<ImageResult> {
  const { size, blocks } = await stat(path)
  const result: ImageResult = {
    target,
    format: targets[target].format(image.formats[target]),
    path: relative(outFolder, path),
    sizeBytes: size,
    allocatedBytes: blocks * 512,
    virtualSizeBytes,
    ...checksums,
    build_time: seconds,
    madeFrom: layer.key,
  }
  const entry: ExportRecord = {
    key: exportKey(image, layer, target),
    stamp: await stampOf(path),
    image: result,
  }
  await writeDurably(imagePaths(image, outFolder, target).record, `${JSON.stringify(entry)}\n`)
  emit({ kind: 'image-finished', image: result, cached: false })
  return result
}

const exportRecord = z.strictObject({ key: z.string(), stamp: z.string(), image: imageSchema })

type ExportRecord = Readonly<z.output<typeof exportRecord>>

function imagePaths(image: ResolvedImage, outFolder: string, target: TargetName) {
  const folder = outFolderAt(outFolder).images
  const name = imageName(image, target)
  return { file: join(folder, name), record: join(folder, `.${name}.json`) }
}

function exportKey(image: ResolvedImage, layer: Layer, target: TargetName): string {
  const { revision } = targets[target]
  const settings = dependenciesOf(image, target)
  return sha256(canonicalJson({ layer: layer.sha256, target, revision, settings }))
}

/** The record of an earlier export, if it is for this layer and still matches the file. */
async function readRecord(
  image: ResolvedImage,
  layer: Layer,
  outFolder: string,
  target: TargetName,
): Promise<ExportRecord | undefined> {
  const { file, record: path } = imagePaths(image, outFolder, target)
  const record = await readRecordFile(path, exportRecord)
  const isOwn = record?.image.path === relative(outFolder, file) && record.image.target === target
  if (record === undefined || !isOwn || record.key !== exportKey(image, layer, target)) return undefined
  // A file that is missing or unreadable is written again.
  const stamp = await stampOf(file).catch(() => undefined)
  return record.stamp === stamp && (await hasChecksums(file, record.image)) ? record : undefined
}

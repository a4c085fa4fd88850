/** Makes a file for every target of an image, side by side, or finds that it is there already. */

import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Target } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { canonicalJson, sha256 } from '../digest.ts'
import { imageNode } from '../disk/block-node.ts'
import { hasChecksums } from '../export/checksums.ts'
import { exporters } from '../export/exporters.ts'
import { writeMetadata } from '../export/metadata.ts'
import { writeRepository } from '../export/repository.ts'
import { exportSideBySide, type MadeFile } from '../export/side-by-side.ts'
import { stampOf, writeDurably } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import type { Plan } from '../plan/plan.ts'
import type { Emit } from '../report/events.ts'
import type { ImageResult } from '../report/report.ts'
import type { Layer } from '../store/store.ts'

export interface ExportRequest {
  readonly image: ResolvedImage
  readonly layer: Layer
  /** qcow2 of the layer. */
  readonly layerDisk: string
  readonly outFolder: string
  readonly estimate: (name: string) => number | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Name of a target's file. */
export function imageFileName(image: ResolvedImage, target: Target): string {
  return `${image.fileName}-${exporters[target].suffix(image)}`
}

/**
 * Exports the final layer for every target of the image. What is finished stays when another target fails.
 * @throws the first failure, when all others have ended
 */
export async function exportImages(request: ExportRequest): Promise<readonly ImageResult[]> {
  const { image, layer, outFolder, emit } = request
  const known = new Map<Target, ImageResult>()
  for (const target of image.targets) {
    const record = await readRecord(image, layer, outFolder, target)
    if (record === undefined) continue
    known.set(target, record.image)
    emit({ kind: 'image-finished', image: record.image, cached: true })
  }
  const missing = image.targets.filter((target) => !known.has(target))
  if (missing.length > 0) {
    for (const result of await exportMissing(request, missing)) known.set(result.target as Target, result)
  }
  const results = image.targets.flatMap((target) => known.get(target) ?? [])
  // Also where no file was made: what it says of them may have changed.
  await writeMetadata(outFolderAt(outFolder).images, image, results)
  if (image.repository) await writeRepository(outFolder, image, results)
  return results
}

/** Whether nothing of a plan is left to do: every layer is cached, and every target's file is there. */
export async function isFinished(plan: Plan, outFolder: string): Promise<boolean> {
  const layers = [plan.base, ...plan.stages].map(({ cached }) => cached)
  const last = layers.at(-1)
  return last !== undefined && !layers.includes(undefined) && areExported(plan.image, last, outFolder)
}

/** Whether every target's file is there and was made from this layer. */
export async function areExported(image: ResolvedImage, layer: Layer, outFolder: string): Promise<boolean> {
  const known = await Promise.all(image.targets.map((target) => readRecord(image, layer, outFolder, target)))
  return known.every((record) => record !== undefined)
}

async function exportMissing(
  request: ExportRequest,
  targets: readonly Target[],
): Promise<readonly ImageResult[]> {
  const { image, layer, layerDisk, outFolder, emit, estimate, signal } = request
  const { images, unfinishedImages } = outFolderAt(outFolder)
  await mkdir(images, { recursive: true })
  return exportSideBySide({
    ...image,
    disk: imageNode('qcow2', layerDisk),
    workFolder: unfinishedImages,
    findKey: async () => layer.sha256,
    targets,
    fileOf: (target) => placeImage(image, outFolder, target).file,
    // What it says would no longer be true.
    onBegin: (target) => rm(placeImage(image, outFolder, target).record, { force: true }),
    onFile: (file) => recordImage(request, file),
    estimate,
    emit,
    signal,
  })
}

/** Keeps what is known of a file, so that it is not made twice. */
async function recordImage(
  { image, layer, outFolder, emit }: ExportRequest,
  { target, path, sums, virtualSizeBytes, seconds }: MadeFile,
): Promise<ImageResult> {
  const { size, blocks } = await stat(path)
  const result: ImageResult = {
    target,
    format: exporters[target].format,
    path: relative(outFolder, path),
    sizeBytes: size,
    allocatedBytes: blocks * 512,
    virtualSizeBytes,
    ...sums,
    build_time: seconds,
    madeFrom: layer.key,
  }
  const entry: ExportRecord = {
    key: exportKey(image, layer, target),
    stamp: await stampOf(path),
    image: result,
  }
  await writeDurably(placeImage(image, outFolder, target).record, `${JSON.stringify(entry)}\n`)
  emit({ kind: 'image-finished', image: result, cached: false })
  return result
}

interface ExportRecord {
  readonly key: string
  readonly stamp: string
  readonly image: ImageResult
}

function placeImage(image: ResolvedImage, outFolder: string, target: Target) {
  const folder = outFolderAt(outFolder).images
  const name = imageFileName(image, target)
  return { file: join(folder, name), record: join(folder, `.${name}.json`) }
}

function exportKey(image: ResolvedImage, layer: Layer, target: Target): string {
  const { revision, settings } = exporters[target]
  return sha256(canonicalJson({ layer: layer.sha256, target, revision, settings: settings(image) }))
}

/** The record of an earlier export, if it is of this layer and still describes the file. */
async function readRecord(
  image: ResolvedImage,
  layer: Layer,
  outFolder: string,
  target: Target,
): Promise<ExportRecord | undefined> {
  const { file, record: path } = placeImage(image, outFolder, target)
  try {
    const record = JSON.parse(await readFile(path, 'utf8')) as ExportRecord
    const isSame = record.key === exportKey(image, layer, target) && record.stamp === (await stampOf(file))
    return isSame && (await hasChecksums(file, record.image)) ? record : undefined
  } catch {
    return undefined
  }
}

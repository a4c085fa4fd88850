/** Makes an image file for each target, or finds that it is there already. */

import { mkdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Target } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { canonicalJson, sha256 } from '../digest.ts'
import { writeDurably } from '../host/files.ts'
import type { Emit } from '../report/events.ts'
import type { ImageResult } from '../report/report.ts'
import type { Layer, Store } from '../store/store.ts'
import { writeChecksums } from './checksums.ts'
import { exportQcow2 } from './qcow2.ts'

export interface ExportRequest {
  readonly image: ResolvedImage
  readonly layer: Layer
  readonly store: Store
  readonly outFolder: string
  readonly estimate: (name: string) => number | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

const formats = { kvm: { format: 'qcow2', extension: 'qcow2' } } as const satisfies Record<
  Target,
  { format: string; extension: string }
>

/** Name of a target's file. */
export function imageFileName(image: ResolvedImage, target: Target): string {
  return `${image.fileName}-${target}.${formats[target].extension}`
}

/** Exports the final layer for every target of the image. */
export async function exportImages(request: ExportRequest): Promise<readonly ImageResult[]> {
  const results: ImageResult[] = []
  for (const target of request.image.targets) results.push(await exportImage(request, target))
  return results
}

/** Whether every target's file is there and was made from this layer. */
export async function areExported(image: ResolvedImage, layer: Layer, outFolder: string): Promise<boolean> {
  const known = await Promise.all(image.targets.map((target) => readRecord(image, layer, outFolder, target)))
  return known.every((record) => record !== undefined)
}

async function exportImage(request: ExportRequest, target: Target): Promise<ImageResult> {
  const { image, layer, store, outFolder, emit, signal } = request
  const { folder, name, file, record } = placeImage(image, outFolder, target)
  const key = exportKey(image, layer, target)
  const known = await readRecord(image, layer, outFolder, target)
  if (known !== undefined) {
    emit({ kind: 'image-finished', image: known.image, cached: true })
    return known.image
  }
  await mkdir(folder, { recursive: true })
  const part = `export ${target}`
  const started = performance.now()
  emit({ kind: 'part-started', name: part, estimateSeconds: request.estimate(part) })
  const progress = (percent: number) =>
    emit({ kind: 'part-progress', name: part, text: `${Math.round(percent)} %` })
  const exported = await exportQcow2(store.disk(layer.key), file, image.qcow2, progress, signal)
  await writeChecksums(folder, name, exported)
  const seconds = Math.round(performance.now() - started) / 1000
  emit({ kind: 'part-finished', name: part, seconds })
  const result: ImageResult = {
    target,
    format: formats[target].format,
    path: relative(outFolder, file),
    virtualSizeBytes: image.disk.sizeMiB * 1024 * 1024,
    ...exported,
    build_time: seconds,
    madeFrom: layer.key,
  }
  await writeDurably(record, `${JSON.stringify({ key, stamp: await stampOf(file), image: result })}\n`)
  emit({ kind: 'image-finished', image: result, cached: false })
  return result
}

interface ExportRecord {
  readonly key: string
  readonly stamp: string
  readonly image: ImageResult
}

function placeImage(image: ResolvedImage, outFolder: string, target: Target) {
  const folder = join(outFolder, 'images')
  const name = imageFileName(image, target)
  return { folder, name, file: join(folder, name), record: join(folder, `.${name}.json`) }
}

function exportKey(image: ResolvedImage, layer: Layer, target: Target): string {
  return sha256(canonicalJson({ layer: layer.sha256, target, options: image.qcow2 }))
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
    return isSame ? record : undefined
  } catch {
    return undefined
  }
}

/** Changes whenever a file is written or replaced; costs no reading. */
async function stampOf(file: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(file)
  return `${ino} ${size} ${mtimeMs}`
}

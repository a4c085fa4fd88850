/** How much disk space a build will take in `out/`, judging by earlier builds. */

import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { estimateRoom } from '../export/room.ts'
import { freeBytes } from '../host/files.ts'
import { findWorkFolder } from '../host/work-folder.ts'
import { installerOf } from '../installers/index.ts'
import type { RoomAhead } from '../report/events.ts'
import type { Report } from '../report/report.ts'
import { layersOf } from '../store/chain.ts'
import type { Layer } from '../store/layer-record.ts'
import { archiveOf, type TargetName, targetNames, targets } from '../targets/registry.ts'
import { readReports, sumOfKnown } from './estimates.ts'
import type { Plan, PlannedLayer } from './plan.ts'

/** Space assumed for a build without a predecessor: layer 0, the layers above it, a flat disk, and five images. */
export const neededBytes = 8 * 1024 ** 3

/** Space for one file; undefined if no comparable file was made before. */
export interface RoomOf {
  readonly name: string
  readonly bytes: number | undefined
}

export interface Room extends RoomAhead {
  readonly layers: readonly RoomOf[]
  /** One for each target, including the unpacked file if the target packs it. */
  readonly images: readonly RoomOf[]
  /** The flat disk that images are made from, which exists only during the export. */
  readonly flatBytes: number | undefined
  /** The temporary work folder of layer 0; undefined if layer 0 is not made, or if the folder is on another disk. */
  readonly workBytes: number | undefined
}

/**
 * Estimates the space that a plan will take, from the records of earlier builds.
 * @param layers all layers of the store
 * @param hasImages whether images will be made
 */
export async function expectRoom(
  plan: Plan,
  outFolder: string,
  layers: readonly Layer[],
  hasImages: boolean,
): Promise<Room> {
  const reports = (await readReports(outFolder)).filter(({ image }) => image.variant === plan.image.variant)
  const toMake = layersOf(plan).filter(({ cached }) => cached === undefined)
  const made = toMake.map((planned) => ({ name: planned.name, bytes: sizeOf(planned, layers, reports) }))
  const flat = hasImages ? flatSize(plan, made, reports) : 0
  const chosen = hasImages ? plan.image.targets : []
  const images = chosen.map((target) => ({ name: target, bytes: imageSize(target, plan, flat, reports) }))
  const base = made.find(({ name }) => name === 'base')
  const isWorkHere = await isWorkIn(outFolder)
  const needsWork = base !== undefined && isWorkHere && installerOf(plan.image).needsWorkFolder === true
  const work = needsWork && base.bytes !== undefined ? base.bytes * workFactor : undefined
  const installing = base === undefined ? 0 : sumOfKnown([base.bytes, needsWork ? work : 0])
  const final = made.find(({ name }) => name === plan.final?.name)
  const repacking = isWorkHere && final?.bytes !== undefined ? final.bytes * repackFactor : 0
  const layersBytes = made.map(({ bytes }) => bytes)
  const exporting = sumOfKnown([...layersBytes, ...images.map(({ bytes }) => bytes), flat])
  const finishing = sumOfKnown([...layersBytes, repacking])
  const isKnown = installing !== undefined && exporting !== undefined && finishing !== undefined
  return {
    layers: made,
    images,
    flatBytes: flat,
    workBytes: work,
    peakBytes: isKnown ? Math.max(installing, finishing, exporting) : neededBytes,
    isKnown,
    freeBytes: await freeBytes(outFolder),
  }
}

/** Measured: the package tree plus a raw disk, relative to the resulting qcow2. */
const workFactor = 3

/** A copy of the disk, the files' contents, and the raw disk that they are written to. */
const repackFactor = 3

function sizeOf(
  { name, closest }: PlannedLayer,
  layers: readonly Layer[],
  reports: readonly Report[],
): number | undefined {
  if (closest !== undefined) return closest.sizeBytes
  const reported = reports
    .flatMap(({ stages }) => stages)
    .findLast((stage) => stage.name === name && stage.layer)
  return reported?.layer?.sizeBytes ?? layers.findLast((layer) => layer.name === name)?.sizeBytes
}

/** Size of an earlier image that is the flat disk itself; else that of the final layer; else at most the sum of all layers. */
function flatSize(plan: Plan, made: readonly RoomOf[], reports: readonly Report[]): number | undefined {
  const { image, layout } = plan
  const flattened = targetNames.find(
    (target) => targets[target].storage === 'flattened' && archiveOf(target, image.formats) === 'none',
  )
  const last = flattened && lastImage(flattened, reports)?.allocatedBytes
  if (last !== undefined) return last
  const { final } = plan
  const finalSize = final?.cached?.sizeBytes ?? made.find(({ name }) => name === final?.name)?.bytes
  if (finalSize !== undefined) return finalSize
  const chain = layersOf(plan).map(
    ({ name, cached }) => cached?.sizeBytes ?? made.find((layer) => layer.name === name)?.bytes,
  )
  const total = sumOfKnown(chain)
  return total === undefined ? undefined : Math.min(total, layout.sizeBytes)
}

function imageSize(
  target: TargetName,
  { image, layout }: Plan,
  flat: number | undefined,
  reports: readonly Report[],
): number | undefined {
  const last = lastImage(target, reports)?.allocatedBytes
  if (last === undefined) {
    const disk = flat === undefined ? undefined : { sizeBytes: layout.sizeBytes, dataBytes: flat }
    return disk && estimateRoom([target], image.formats, disk).targets[target]
  }
  // A packed image is first written unpacked.
  return archiveOf(target, image.formats) === 'none' ? last : sumOfKnown([last, flat])
}

function lastImage(target: TargetName, reports: readonly Report[]) {
  return reports.flatMap(({ images }) => images).findLast((image) => image.target === target)
}

/** Whether temporary files are on the disk of a folder. A host check reports an unusable work folder. */
async function isWorkIn(folder: string): Promise<boolean> {
  const workFolder = await findWorkFolder().catch(() => undefined)
  return workFolder !== undefined && (await deviceOf(folder)) === (await deviceOf(workFolder))
}

/** The disk of a folder, which need not exist yet. */
async function deviceOf(folder: string): Promise<number | undefined> {
  const found = await stat(folder).catch(() => undefined)
  if (found !== undefined) return found.dev
  return dirname(folder) === folder ? undefined : deviceOf(dirname(folder))
}

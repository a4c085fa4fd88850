/** How much room a build will take where `out/` lies, going by what earlier ones took. */

import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { estimateRoom } from '../export/room.ts'
import { freeBytes } from '../host/files.ts'
import { installerOf } from '../installers/index.ts'
import type { RoomAhead } from '../report/events.ts'
import type { Report } from '../report/report.ts'
import { layersOf } from '../store/chain.ts'
import type { Layer } from '../store/store.ts'
import { archiveOf, type TargetName, targetNames, targets } from '../targets/registry.ts'
import { readReports } from './estimates.ts'
import type { Plan, PlannedLayer } from './plan.ts'

/** What a build is taken to need that nothing is known of: layer 0, the layers above it, a flat disk, and five images. */
export const neededBytes = 8 * 1024 ** 3

/** Room for one thing that will be made; undefined where none like it was made before. */
export interface RoomOf {
  readonly name: string
  readonly bytes: number | undefined
}

export interface Room extends RoomAhead {
  readonly layers: readonly RoomOf[]
  /** One for each target; with the file that is packed, where one is. */
  readonly images: readonly RoomOf[]
  /** The flat disk that images are made from, there only while they are. */
  readonly flatBytes: number | undefined
  /** The folder that layer 0 is made in, there only while it is; undefined where it is not made, or lies on another disk. */
  readonly workBytes: number | undefined
}

/**
 * Reads the records of earlier builds and says what a plan will take.
 * @param layers all layers of the store
 * @param hasImages whether images will be made
 */
export async function expectRoom(
  plan: Plan,
  outFolder: string,
  layers: readonly Layer[],
  hasImages: boolean,
): Promise<Room> {
  const reports = (await readReports(outFolder)).filter(({ image }) => image?.variant === plan.image.variant)
  const toMake = layersOf(plan).filter(({ cached }) => cached === undefined)
  const made = toMake.map((planned) => ({ name: planned.name, bytes: sizeOf(planned, layers, reports) }))
  const flat = hasImages ? flatSize(plan, made, reports) : 0
  const chosen = hasImages ? plan.image.targets : []
  const images = chosen.map((target) => ({ name: target, bytes: imageSize(target, plan, flat, reports) }))
  const base = made.find(({ name }) => name === 'base')
  const workFolder = installerOf(plan.image).workFolder?.()
  const isWorkHere =
    base !== undefined && workFolder !== undefined && (await isSameDisk(outFolder, workFolder))
  const work = isWorkHere && base.bytes !== undefined ? base.bytes * workFactor : undefined
  const installing = base === undefined ? 0 : sum([base.bytes, isWorkHere ? work : 0])
  const exporting = sum([...made, ...images].map(({ bytes }) => bytes).concat(flat))
  const isKnown = installing !== undefined && exporting !== undefined
  return {
    layers: made,
    images,
    flatBytes: flat,
    workBytes: work,
    peakBytes: isKnown ? Math.max(installing, exporting) : neededBytes,
    isKnown,
    freeBytes: await freeBytes(outFolder),
  }
}

/** Measured: the tree with its packages and a raw disk beside it, against the qcow2 that they become. */
const workFactor = 3

function sizeOf(
  { name, closest }: PlannedLayer,
  layers: readonly Layer[],
  reports: readonly Partial<Report>[],
): number | undefined {
  if (closest !== undefined) return closest.sizeBytes
  const reported = reports
    .flatMap(({ stages = [] }) => stages)
    .findLast((stage) => stage.name === name && stage.layer)
  return reported?.layer?.sizeBytes ?? layers.findLast((layer) => layer.name === name)?.sizeBytes
}

/** What was in the image that is the flat disk itself, or else at the most what is in all layers together. */
function flatSize(
  plan: Plan,
  made: readonly RoomOf[],
  reports: readonly Partial<Report>[],
): number | undefined {
  const { image, layout } = plan
  const flattened = targetNames.find(
    (target) => targets[target].storage === 'flattened' && archiveOf(target, image.formats) === 'none',
  )
  const last = flattened && lastImage(flattened, reports)?.allocatedBytes
  if (last !== undefined) return last
  const chain = layersOf(plan).map(
    ({ name, cached }) => cached?.sizeBytes ?? made.find((layer) => layer.name === name)?.bytes,
  )
  const total = sum(chain)
  return total === undefined ? undefined : Math.min(total, layout.sizeBytes)
}

function imageSize(
  target: TargetName,
  { image, layout }: Plan,
  flat: number | undefined,
  reports: readonly Partial<Report>[],
): number | undefined {
  const last = lastImage(target, reports)?.allocatedBytes
  if (last === undefined) {
    const disk = flat === undefined ? undefined : { sizeBytes: layout.sizeBytes, dataBytes: flat }
    return disk && estimateRoom([target], image.formats, disk).targets[target]
  }
  // What is packed is written as it is first.
  return archiveOf(target, image.formats) === 'none' ? last : sum([last, flat])
}

function lastImage(target: TargetName, reports: readonly Partial<Report>[]) {
  return reports.flatMap(({ images = [] }) => images).findLast((image) => image.target === target)
}

function sum(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce<number | undefined>(
    (total, value) => (total === undefined || value === undefined ? undefined : total + value),
    0,
  )
}

async function isSameDisk(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([deviceOf(one), deviceOf(other)])
  return first === second
}

/** The disk of a folder, which need not exist yet. */
async function deviceOf(folder: string): Promise<number | undefined> {
  const found = await stat(folder).catch(() => undefined)
  if (found !== undefined) return found.dev
  return dirname(folder) === folder ? undefined : deviceOf(dirname(folder))
}

/** How long things will take, judging by how long they took before. */

import { join } from 'node:path'
import type { ResolvedImage } from '../config/resolved.ts'
import { readRecord } from '../host/json-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { namesIn } from '../host/unless-missing.ts'
import type { Ahead } from '../report/events.ts'
import { mostReportBytes, type Report, reportSchema } from '../report/report.ts'
import { basesOf, layersOf } from '../store/chain.ts'
import type { Layer } from '../store/layer-record.ts'
import type { Plan } from './plan.ts'
import { otherStage, ownChecks, referenceTimes } from './reference-times.ts'

export interface Estimates {
  /** Seconds of a stage or part by name, if known. */
  readonly of: (name: string) => number | undefined
  /**
   * Whether it was measured here. Otherwise, the time is for emulated guests on a known host, scaled to the speed of this
   * one.
   */
  readonly isMeasured: (name: string) => boolean
}

/**
 * Reads the newest reports below `out/runs` and the layers' records. Times from another architecture say nothing about this one,
 * nor does layer 0 from another installer.
 */
export async function readEstimates(
  outFolder: string,
  layers: readonly Layer[],
  { installer, arch }: Pick<ResolvedImage, 'installer' | 'arch'>,
): Promise<Estimates> {
  const known = new Map<string, number>()
  const newestLast = [...layers].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
  const bases = basesOf(layers)
  for (const layer of newestLast) {
    const base = bases.get(layer)
    if (base?.arch === arch && (layer.name !== baseName || base.installer === installer))
      known.set(layer.name, layer.buildTimeSeconds)
  }
  for (const { image, timings } of await readReports(outFolder)) {
    if (image.arch !== arch) continue
    for (const { name, seconds } of timings) {
      if (name !== baseName || image.installer === installer) known.set(name, seconds)
    }
  }
  const elsewhere = referenceTimes({ installer, arch })
  return { of: (name) => known.get(name) ?? elsewhere(name), isMeasured: (name) => known.has(name) }
}

const baseName = 'base'

/** Enough that a day of failed runs does not hide the times of the last successful one. */
const readCount = 20

/** The newest reports below `out/runs`, oldest first. A killed run has none; a report by another program does not count. */
export async function readReports(outFolder: string): Promise<readonly Report[]> {
  const folder = outFolderAt(outFolder).runs
  const reports: Report[] = []
  for (const run of [...(await namesIn(folder))].sort().reverse()) {
    const report = await readRecord(join(folder, run, 'report.json'), reportSchema, mostReportBytes)
    if (report !== undefined) reports.unshift(report)
    if (reports.length === readCount) break
  }
  return reports
}

/** What a run will do with the images of the last layer. */
export interface ImagesAhead {
  readonly areWanted: boolean
  readonly exist: boolean
  readonly areVerified: boolean
}

export interface LookAhead {
  readonly ahead: readonly Ahead[]
  /** Total of known times, and typical ones for other stages; undefined if anything long is unknown. */
  readonly estimateSeconds: number | undefined
  /** Whether the estimate is for emulated guests, because nothing was ever built here. */
  readonly assumesEmulation: boolean
}

/** What a run still has to do. */
export function lookAhead(plan: Plan, estimates: Estimates, images: ImagesAhead): LookAhead {
  const ahead = layersOf(plan).map(({ name, cached }) => ({
    name,
    cached: cached !== undefined,
    estimateSeconds: estimates.of(name),
  }))
  const toRun = ahead.filter(({ cached }) => !cached).map(({ name }) => name)
  const boots = toRun.some((name) => name !== baseName) ? ['boot', 'shutdown'] : []
  const isNew = images.areWanted && (toRun.length > 0 || !images.exist)
  const exported = isNew ? plan.image.targets.map((target) => `export ${target}`) : []
  const verified = isNew && images.areVerified ? plan.image.targets.map((target) => `verify ${target}`) : []
  const inTurn = [...toRun, ...boots].map(
    (name) => estimates.of(name) ?? (name === baseName ? undefined : estimates.of(otherStage)),
  )
  const hasContract = plan.image.verification.contract !== 'none'
  const ofVerification = (name: string) =>
    estimates.of(hasContract || estimates.isMeasured(name) ? name : ownChecks)
  const sideBySide = [exported.map(estimates.of), verified.map(ofVerification)].map(slowestOf)
  return {
    ahead,
    estimateSeconds: sumOfKnown([...inTurn, ...sideBySide]),
    assumesEmulation: [...toRun, ...boots, ...verified].some((name) => !estimates.isMeasured(name)),
  }
}

/** The slowest of several things that run in parallel determines the time. Undefined if one time is unknown. */
function slowestOf(seconds: readonly (number | undefined)[]): number | undefined {
  return seconds.every((value) => value !== undefined) ? Math.max(0, ...seconds) : undefined
}

/** The sum of numbers; undefined if one of them is unknown. */
export function sumOfKnown(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce<number | undefined>(
    (total, value) => (total === undefined || value === undefined ? undefined : total + value),
    0,
  )
}

/** How a run differs from an earlier one: times, sizes, packages, checks. */

import { formatBytes, formatSeconds } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import { usageOf } from './sizes.ts'
import { formatInstant } from './texts.ts'

export interface ChangesView {
  readonly since: string
  readonly tables: readonly ChangeTable[]
  /** Titles of the tables in which nothing differs. */
  readonly same: readonly string[]
}

interface ChangeTable {
  readonly title: string
  readonly what: string
  readonly rows: readonly ChangeRow[]
  /** Whether the rows are numbers. */
  readonly hasDelta: boolean
}

interface ChangeRow {
  readonly name: string
  readonly before: string
  readonly now: string
  readonly delta: string
}

export function compareReports(before: Report, now: Report): ChangesView {
  const tables = [
    { title: 'Times', what: 'Part', rows: compareTimes(before, now) },
    { title: 'Image files', what: 'Target', rows: compareNumbers(filesOf(before), filesOf(now), bytes, 1) },
    {
      title: 'Layers',
      what: 'Stage',
      rows: compareNumbers(layersOf(before), layersOf(now), bytes, 64 * 1024),
    },
    {
      title: 'Folders',
      what: 'Folder',
      rows: compareNumbers(foldersOf(before), foldersOf(now), bytes, 64 * 1024),
    },
    {
      title: 'Packages',
      what: 'Package',
      rows: compareTexts(versionsOf(before), versionsOf(now), 'not there'),
    },
    { title: 'Checks', what: 'Check', rows: compareTexts(checksOf(before), checksOf(now), 'not asked') },
  ]
  return {
    since: `run ${before.run.id} of ${formatInstant(before.run.startedAt)}, ${before.image.name} ${before.image.release} ${before.image.variant}`,
    tables: tables
      .filter(({ rows }) => rows.length > 0)
      .map((table) => ({ ...table, hasDelta: table.rows.some(({ delta }) => delta !== '') })),
    same: tables.filter(({ rows }) => rows.length === 0).map(({ title }) => title.toLowerCase()),
  }
}

// --- internal ---

type Numbers = ReadonlyMap<string, number> | undefined
type Format = (value: number) => string

const bytes: Format = formatBytes

/** Times always differ a little. */
const leastSeconds = 0.5

function compareTimes(before: Report, now: Report): readonly ChangeRow[] {
  return compareNumbers(timesOf(before), timesOf(now), formatSeconds, leastSeconds)
}

/** Times of everything that ran or was cached: both are measured. */
function timesOf({ run, timings, stages }: Report): Numbers {
  return new Map([
    ['whole run', run.durationSeconds],
    ...timings.map(({ name, seconds }) => [name, seconds] as const),
    ...stages
      .filter(({ status }) => status === 'ran' || status === 'cached')
      .map(({ name, build_time }) => [name, build_time] as const),
  ])
}

function filesOf({ images }: Report): Numbers {
  return new Map(images.map(({ target, sizeBytes }) => [target, sizeBytes]))
}

function layersOf({ stages }: Report): Numbers {
  return new Map(
    stages.flatMap(({ name, layer }) => (layer === null ? [] : [[name, layer.sizeBytes] as const])),
  )
}

function foldersOf(report: Report): Numbers {
  const usage = usageOf(report)
  return usage && new Map(usage.folders.map(({ path, sizeBytes }) => [path, sizeBytes]))
}

function versionsOf({ packages }: Report): ReadonlyMap<string, string> | undefined {
  return packages && new Map(packages.map(({ name, version }) => [name, version]))
}

function checksOf({ verifications }: Report): ReadonlyMap<string, string> | undefined {
  return (
    verifications &&
    new Map(
      verifications.flatMap(({ target, checks }) =>
        checks.map(({ id, at, status }) => [`${id}, ${target ?? 'unknown target'}, ${at}`, status] as const),
      ),
    )
  )
}

/** Values that differ by at least the given amount, largest difference first; none where either side is unknown. */
function compareNumbers(before: Numbers, now: Numbers, format: Format, least: number): readonly ChangeRow[] {
  if (before === undefined || now === undefined) return []
  return [...new Set([...now.keys(), ...before.keys()])]
    .map((name) => ({ name, old: before.get(name), new: now.get(name) }))
    .map((one) => ({ ...one, delta: (one.new ?? 0) - (one.old ?? 0) }))
    .filter(({ delta }) => Math.abs(delta) >= least)
    .sort((a, b) => Math.abs(b.delta) - Math.abs(a.delta))
    .map(({ name, old, new: value, delta }) => ({
      name,
      before: old === undefined ? '' : format(old),
      now: value === undefined ? '' : format(value),
      delta: `${delta > 0 ? '+' : '−'}${format(Math.abs(delta))}`,
    }))
}

function compareTexts(
  before: ReadonlyMap<string, string> | undefined,
  now: ReadonlyMap<string, string> | undefined,
  absent: string,
): readonly ChangeRow[] {
  if (before === undefined || now === undefined) return []
  return [...new Set([...now.keys(), ...before.keys()])]
    .filter((name) => before.get(name) !== now.get(name))
    .sort()
    .map((name) => ({ name, before: before.get(name) ?? absent, now: now.get(name) ?? absent, delta: '' }))
}

/** The parts and stages of a run, as bars on a time axis. */

import { formatSeconds } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import { findCriticalPath, type Span } from './critical-path.ts'
import { count, percent } from './texts.ts'

type Status = Report['stages'][number]['status']

export interface TimelineRow {
  readonly name: string
  /** Empty if it ran. */
  readonly status: string
  readonly kind: 'part' | 'stage'
  readonly isInner: boolean
  readonly isCritical: boolean
  readonly isCached: boolean
  readonly isFailed: boolean
  readonly time: string
  readonly bar: { readonly x: string; readonly width: string } | undefined
}

/** Rows on one axis. */
export interface TimelineGroup {
  readonly caption: string
  readonly rows: readonly TimelineRow[]
  readonly ticks: readonly { readonly x: string; readonly text: string; readonly isEnd: boolean }[]
  /** Positions of lines across each bar. */
  readonly lines: readonly string[]
}

export interface TimelineView {
  readonly groups: readonly TimelineGroup[]
  readonly path: string | undefined
  /** Why there is no path, if there is none. */
  readonly withoutPath: string
  readonly summary: string
}

export function viewTimeline(report: Report): TimelineView {
  const { durationSeconds } = report.run
  const items = orderItems(report)
  const path = findCriticalPath(
    items.flatMap((item) => spanOf(item) ?? []).filter(({ name }) => !isInner(name)),
  )
  const critical = new Set(path.map(({ name }) => name))
  // Verifying emulated guests takes half an hour: on the same axis, nothing else would be visible.
  const making = items.filter(({ name }) => !isVerification(name))
  const verifying = items.filter(({ name }) => isVerification(name))
  return {
    groups: [
      viewGroup('Making the image', making, critical),
      ...(verifying.length === 0 ? [] : [viewGroup('Verifying it', verifying, critical)]),
    ],
    path: path.length === 0 ? undefined : describePath(path, durationSeconds),
    withoutPath: items.some(({ status }) => status === 'ran' || status === 'failed')
      ? 'This report does not say when its parts began.'
      : 'Nothing had to run.',
    summary: summarize(report),
  }
}

// --- internal ---

interface Item {
  readonly name: string
  readonly kind: TimelineRow['kind']
  readonly status: Status
  readonly seconds: number
  readonly startSeconds: number | undefined
}

/** The steps of debian-installer are parts of `base`. */
const isInner = (name: string) => name.startsWith('base ')

const isVerification = (name: string) => name.startsWith('verify ')

/** One axis, from the first start to the last end. */
function viewGroup(what: string, items: readonly Item[], critical: ReadonlySet<string>): TimelineGroup {
  const spans = items.flatMap((item) => spanOf(item) ?? [])
  const from = spans.length === 0 ? 0 : Math.min(...spans.map(({ startSeconds }) => startSeconds))
  const whole = Math.max(0.001, ...spans.map(({ endSeconds }) => endSeconds - from))
  const ticks = ticksOf(whole)
  return {
    caption: spans.length === 0 ? what : `${what}: ${formatSeconds(whole)}`,
    rows: items.map((item) => viewRow(item, critical, from, whole)),
    ticks: ticks.map((seconds) => ({
      x: percent(seconds / whole),
      text: formatTick(seconds),
      isEnd: seconds / whole > 0.94,
    })),
    lines: ticks.filter((seconds) => seconds > 0).map((seconds) => percent(seconds / whole)),
  }
}

/** In the order of their starts. Cached stages, which have none, come before those that ran. */
function orderItems({ timings, stages }: Report): readonly Item[] {
  const parts = timings.map(
    ({ name, startedSeconds, seconds }): Item => ({
      name,
      kind: 'part',
      status: 'ran',
      seconds,
      startSeconds: startedSeconds,
    }),
  )
  const steps = stages.map(
    ({ name, status, startedSeconds, build_time }): Item => ({
      name,
      kind: 'stage',
      status,
      seconds: build_time,
      startSeconds: startedSeconds,
    }),
  )
  const of = (...statuses: readonly Status[]) => steps.filter(({ status }) => statuses.includes(status))
  const isFirst = ({ name }: Item) => name === 'base' || isInner(name)
  const ran = [...parts.filter((part) => !isFirst(part)), ...of('ran', 'failed')]
  const begins = ({ startSeconds }: Item) => startSeconds ?? Number.POSITIVE_INFINITY
  // If several start together, the whole comes before its parts.
  const inOrder = (items: readonly Item[]) =>
    [...items].sort((a, b) => (begins(a) === begins(b) ? 0 : begins(a) - begins(b)))
  return [...inOrder(parts.filter(isFirst)), ...of('cached'), ...inOrder(ran), ...of('skipped')]
}

function spanOf({ name, seconds, startSeconds, status }: Item): Span | undefined {
  if (startSeconds === undefined || status === 'cached' || status === 'skipped') return undefined
  return { name, startSeconds, endSeconds: startSeconds + seconds }
}

function viewRow(item: Item, critical: ReadonlySet<string>, from: number, whole: number): TimelineRow {
  const { name, kind, status, seconds } = item
  const span = spanOf(item)
  return {
    name,
    kind,
    status: status === 'ran' ? '' : status,
    isInner: isInner(name),
    isCritical: critical.has(name) && span !== undefined,
    isCached: status === 'cached',
    isFailed: status === 'failed',
    time: status === 'skipped' ? '' : formatSeconds(seconds),
    bar: span && { x: percent((span.startSeconds - from) / whole), width: percent(seconds / whole) },
  }
}

function describePath(path: readonly Span[], durationSeconds: number): string {
  const seconds = path.reduce((sum, { startSeconds, endSeconds }) => sum + endSeconds - startSeconds, 0)
  return `${path.map(({ name }) => name).join(' → ')}: ${formatSeconds(seconds)} of ${formatSeconds(durationSeconds)}`
}

function summarize({ stages }: Report): string {
  const cached = stages.filter(({ status }) => status === 'cached')
  if (cached.length === 0) return `${count(stages.length, 'stage')}, none cached.`
  const saved = cached.reduce((sum, { build_time }) => sum + build_time, 0)
  return `${count(stages.length, 'stage')}, ${cached.length} cached, which saved ${formatSeconds(saved)}, not counting boots.`
}

const steps = [0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600]

/** At most seven, at round times. */
function ticksOf(end: number): readonly number[] {
  const step = steps.find((one) => end / one <= 6) ?? end
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => index * step)
}

function formatTick(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(1))}s`
  return seconds % 3600 === 0 ? `${seconds / 3600}h` : `${Math.round(seconds / 60)}m`
}

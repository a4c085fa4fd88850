/** A build as shown on the page of a GitHub run: stages, sizes compared with the last release, checks. */

import { formatBytes, formatSeconds } from '../report/format.ts'
import { describeFreshness } from '../report/freshness.ts'
import { code, describeDelta, plain, table } from '../report/markdown.ts'
import type { Report } from '../report/report.ts'
import type { ImageVerification } from '../report/verification.ts'
import type { ReleaseRecord } from './record.ts'

/** @param before the release to compare sizes with */
export function renderSummary(report: Report, before: ReleaseRecord | undefined): string {
  const { run, image, host } = report
  const mark = run.status === 'succeeded' ? '✅' : '❌'
  const how = host.accelerator === null ? 'no guest was started' : host.accelerator
  const sections = [
    `## ${mark} ${plain(image.variant)}: ${run.status} in ${formatSeconds(run.durationSeconds)}`,
    `${plain(`${image.name} ${image.release}, ${image.installer}, ${how}`)}, ${describePins(report)}`,
    ...(run.failure === undefined
      ? []
      : [quote([run.failure.message, run.failure.hint ?? ''].filter(Boolean))]),
    ...updatesOf(report),
    stagesOf(report),
    ...(report.images.length === 0 ? [] : [imagesOf(report, before)]),
    ...(report.verifications ?? []).flatMap(failuresOf),
  ]
  return `${sections.join('\n\n')}\n`
}

// --- internal ---

function describePins({ pinned }: Report): string {
  const by = [pinned?.snapshot == null ? [] : ['a snapshot'], pinned?.lock == null ? [] : ['a lock']].flat()
  return by.length === 0 ? 'not pinned' : `pinned by ${by.join(' and ')}`
}

function updatesOf({ freshness }: Report): readonly string[] {
  if (freshness === undefined) return []
  const mark = freshness.status === 'current' ? '✅' : freshness.status === 'unknown' ? '❔' : '⚠️'
  return [`${mark} updates: ${plain(describeFreshness(freshness))}`]
}

function stagesOf({ stages, timings }: Report): string {
  const parts = timings.map(({ name, seconds }) => [plain(name), 'ran', formatSeconds(seconds), '', ''])
  const rows = stages.map(({ name, status, build_time, layer, packages }) => [
    plain(name),
    status,
    status === 'skipped' ? '' : formatSeconds(build_time),
    layer === null ? '' : formatBytes(layer.sizeBytes),
    describePackages(packages),
  ])
  return table(['stage', 'status', 'time', 'layer', 'packages'], [...rows, ...parts])
}

function describePackages({ added, removed, upgraded }: Report['stages'][number]['packages']): string {
  const counts = [
    [added.length, 'added'],
    [removed.length, 'removed'],
    [upgraded.length, 'upgraded'],
  ] as const
  return counts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`])).join(', ')
}

function imagesOf({ images, image, verifications }: Report, before: ReleaseRecord | undefined): string {
  const last = before?.variants.find(({ variant }) => variant === image.variant)
  const rows = images.map(({ target, path, sizeBytes, sha256 }) => {
    const old = last?.files.find((file) => file.target === target)?.sizeBytes
    const delta = before === undefined ? '' : describeDelta(old, sizeBytes)
    const checked = verifications?.find((one) => one.sha256 === sha256 && one.target === target)
    return [
      plain(target),
      code(path.split('/').at(-1) ?? ''),
      `${formatBytes(sizeBytes)}${delta}`,
      describeChecks(checked),
    ]
  })
  return table(
    ['for', 'file', before === undefined ? 'size' : `size, since ${plain(before.release)}`, 'checks'],
    rows,
  )
}

function describeChecks(verification: ImageVerification | undefined): string {
  if (verification === undefined) return 'not verified'
  const { status, checks, scenes } = verification
  const count = (wanted: string) => checks.filter((check) => check.status === wanted).length
  const parts = (['passed', 'failed', 'waived', 'skipped'] as const).flatMap((wanted) =>
    count(wanted) === 0 ? [] : [`${count(wanted)} ${wanted}`],
  )
  return `${status === 'passed' ? '✅' : '❌'} ${parts.join(', ')}, ${scenes.length} boots`
}

function failuresOf({ path, checks }: ImageVerification): readonly string[] {
  const failed = checks.filter(({ status }) => status === 'failed')
  if (failed.length === 0) return []
  const rows = failed.map(({ id, title, at, observed }) => [id, title, at, observed].map(plain))
  return [`Failed checks of ${code(path)}:`, table(['check', 'what', 'at', 'observed'], rows)]
}

function quote(lines: readonly string[]): string {
  return lines
    .join('\n')
    .split('\n')
    .map((line) => `> ${plain(line)}`)
    .join('\n')
}

/** `report.html`: everything in the report of a run, as one page for people. */

import { formatBytes, formatSeconds } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import { compareReports } from './changes.ts'
import { type ChecksView, viewChecks } from './checks.ts'
import { viewFiles } from './files.ts'
import { type PackagesView, viewPackages } from './packages.ts'
import type { Pictures } from './pictures.ts'
import { describeProvenance } from './provenance.ts'
import { renderPage } from './render.ts'
import { viewSizes } from './sizes.ts'
import { count, formatInstant, presentable } from './texts.ts'
import { viewTimeline } from './timeline.ts'

export interface RunPageOptions {
  /** Screenshots by their paths in the report. */
  readonly pictures?: Pictures | undefined
  /** An earlier report to compare with. */
  readonly since?: Report | undefined
}

/** The page as HTML. The same report gives the same bytes. */
export function renderRunPage(report: Report, options: RunPageOptions = {}): string {
  const shown = presentable(report)
  const checks = viewChecks(shown, options.pictures ?? new Map())
  const packages = viewPackages(shown)
  return renderPage('run', {
    title: `${shown.image.name} ${shown.image.release} · ${shown.image.variant}: ${shown.run.status}`,
    heading: `${shown.image.name} ${shown.image.release}`,
    variant: shown.image.variant,
    status: shown.run.status,
    outcome: describeOutcome(shown),
    runId: shown.run.id,
    facts: factsOf(shown, checks, packages),
    failure: viewFailure(shown),
    timeline: viewTimeline(shown),
    sizes: viewSizes(shown),
    packages,
    checks,
    files: viewFiles(shown),
    changes: options.since && compareReports(presentable(options.since), shown),
    provenance: describeProvenance(shown),
  })
}

// --- internal ---

function describeOutcome({ run }: Report): string {
  return `${run.status} after ${formatSeconds(run.durationSeconds)}, ${formatInstant(run.finishedAt)}`
}

interface Fact {
  readonly label: string
  readonly value: string
  readonly note: string
  /** `good`, `bad`, or neither. */
  readonly mood: string
}

function factsOf(
  report: Report,
  checks: ChecksView | undefined,
  packages: PackagesView | undefined,
): readonly Fact[] {
  const { run, images, stages, freshness, host } = report
  const cached = stages.filter(({ status }) => status === 'cached').length
  const number = (wanted: string) => checks?.counts.find(({ status }) => status === wanted)?.number ?? 0
  const total = checks?.counts.reduce((sum, one) => sum + one.number, 0) ?? 0
  const updates = freshness === undefined || freshness.status === 'unknown' ? undefined : freshness.updates
  const security = updates?.filter((update) => update.security).length ?? 0
  return [
    {
      label: 'Time',
      value: formatSeconds(run.durationSeconds),
      note: host.accelerator === null ? 'no guest' : host.accelerator === 'kvm' ? 'on KVM' : 'emulated',
      mood: '',
    },
    { label: 'Stages', value: String(stages.length), note: `${cached} cached`, mood: '' },
    {
      label: 'Images',
      value: String(images.length),
      note:
        images.length === 0
          ? 'none made'
          : formatBytes(images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)),
      mood: '',
    },
    checks === undefined
      ? { label: 'Checks', value: '–', note: 'not verified', mood: '' }
      : {
          label: 'Checks',
          value: `${number('passed')} of ${total}`,
          note: number('failed') === 0 ? 'none failed' : `${number('failed')} failed`,
          mood: number('failed') === 0 ? 'good' : 'bad',
        },
    {
      label: 'Packages',
      value: packages === undefined ? '–' : String(packages.rows.length),
      note: packages === undefined ? 'not listed' : 'installed',
      mood: '',
    },
    {
      label: 'Updates',
      value: updates === undefined ? '–' : String(updates.length),
      note:
        updates === undefined
          ? 'not known'
          : security === 0
            ? 'none for security'
            : `${security} for security`,
      mood: security === 0 ? '' : 'bad',
    },
  ]
}

function viewFailure({ run, stages }: Report) {
  const failed = stages.find(({ failure }) => failure !== undefined)
  const failure = run.failure ?? failed?.failure
  if (failure === undefined) return undefined
  const lines = failure.lastLines ?? failed?.failure?.lastLines ?? []
  return {
    code: failure.code,
    message: failure.message,
    hint: failure.hint,
    console: lines.length === 0 ? undefined : lines.join('\n'),
    lines: count(lines.length, 'line'),
    log: failed?.log ?? undefined,
  }
}

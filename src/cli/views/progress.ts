/** Shows a run to a person: one line per stage, a live line for the running one, and a table at the end. */

import type { BuildEvent, Emit } from '../../report/events.ts'
import {
  type Colors,
  formatBytes,
  formatOutlook,
  formatSeconds,
  formatTable,
  plural,
} from '../../report/format.ts'
import type { Report, StageResult } from '../../report/report.ts'
import { oneLine } from './cells.ts'
import { type LiveLineOptions, nameWidth, openLiveLine } from './live-line.ts'
import { renderVerification } from './verification.ts'

export interface TerminalOptions extends LiveLineOptions {
  /** Output folder as a person would type it; the report's paths are relative to it. */
  readonly outFolder: string
}

/** Shows events. Call `close` after the last one. */
export interface Reporter {
  readonly emit: Emit
  /** Lets others write permanent lines while something is running. */
  readonly aside: (write: () => void) => void
  readonly close: () => void
}

/** A reporter for people. */
export function createTerminalReporter(options: TerminalOptions): Reporter {
  const { write, colors, outFolder } = options
  const live = openLiveLine(options)
  const { print } = live

  const emit = (event: BuildEvent): void => {
    switch (event.kind) {
      case 'run-started': {
        const cached = event.ahead.filter((layer) => layer.cached).length
        const total = event.ahead.length
        const { estimateSeconds, assumesEmulation, room } = event
        const time =
          estimateSeconds === undefined ? '' : `, ${formatOutlook({ estimateSeconds, assumesEmulation })}`
        const size = room.isKnown && room.peakBytes > 0 ? `, about ${formatBytes(room.peakBytes)}` : ''
        live.expect(
          event.ahead.filter(({ cached }) => !cached),
          estimateSeconds,
        )
        print(`${colors.bold(event.variant)} ${total - cached} of ${total} layers to make${time}${size}`)
        return
      }
      case 'part-started':
      case 'stage-started':
        return live.start(event.name, event.estimateSeconds)
      case 'part-progress':
      case 'stage-output':
        return live.describe(event.name, oneLine(event.text))
      case 'part-finished':
        live.end(event.name)
        return print(
          formatDone(colors.green('✔'), event.name, formatSeconds(event.seconds), event.text ?? ''),
        )
      case 'stage-finished':
        live.end(event.stage.name)
        return print(formatStage(event.stage, outFolder, colors))
      case 'image-finished': {
        const { path, sizeBytes } = event.image
        const time = event.cached ? 'cached' : formatSeconds(event.image.build_time)
        return print(
          formatDone(colors.green('✔'), event.image.target, time, `${path} ${formatBytes(sizeBytes)}`),
        )
      }
      case 'guest-load':
        return live.load(event)
      // All checks of an image are shown together once it is done.
      case 'check-finished':
        return
      case 'image-verified':
        return print(renderVerification(event.verification, colors).trimEnd())
      case 'note':
        return print(`${colors.yellow('!')} ${event.text}`)
      case 'run-finished':
        live.endAll()
        return write(`\n${renderSummary(event.report, outFolder, colors)}`)
    }
  }
  return { emit, aside: live.aside, close: live.close }
}

function formatDone(mark: string, name: string, time: string, text: string): string {
  return `${mark} ${name.padEnd(nameWidth)} ${time.padStart(8)}  ${text}`.trimEnd()
}

function formatStage(stage: StageResult, outFolder: string, colors: Colors): string {
  const time = formatSeconds(stage.build_time)
  switch (stage.status) {
    case 'ran':
      return formatDone(colors.green('✔'), stage.name, time, describeChanges(stage))
    case 'cached':
      return formatDone(colors.dim('●'), stage.name, 'cached', colors.dim(stage.key.slice(0, 12)))
    case 'failed':
      return formatDone(
        colors.red('✖'),
        stage.name,
        time,
        `exit ${stage.exitStatus ?? '-'}  ${outFolder}/${stage.log}`,
      )
    case 'skipped':
      return formatDone(colors.dim('·'), stage.name, 'skipped', '')
  }
}

function describeChanges({ packages, layer, artifacts }: StageResult): string {
  const counts = [
    [plural(artifacts.length, 'artifact'), artifacts.length],
    [`+${packages.added.length}`, packages.added.length],
    [`-${packages.removed.length}`, packages.removed.length],
    [`~${plural(packages.upgraded.length, 'package')}`, packages.upgraded.length],
  ] as const
  const shown = counts.flatMap(([text, count]) => (count === 0 ? [] : [text]))
  return [...shown, layer === null ? '' : formatBytes(layer.sizeBytes)]
    .filter((text) => text !== '')
    .join(', ')
}

/** The table at the end: the cost of each stage, what was made, and what went wrong. */
export function renderSummary(report: Report, outFolder: string, colors: Colors): string {
  const { run, timings, stages, images } = report
  const total = run.durationSeconds
  const share = (seconds: number) => `${Math.round((100 * seconds) / Math.max(total, 0.001))} %`
  const parts = timings.map(({ name, seconds }) => [name, 'ran', seconds, 0] as const)
  const [before, after] = [
    parts.filter(([name]) => isBeforeStages(name)),
    parts.filter(([name]) => !isBeforeStages(name)),
  ]
  const ofStages = stages.map(
    (stage) => [stage.name, stage.status, stage.build_time, stage.layer?.sizeBytes ?? 0] as const,
  )
  const spent = [...before, ...ofStages, ...after]
  const rows = spent.map(([name, status, seconds, size]) => [
    name,
    status,
    status === 'skipped' ? '' : formatSeconds(seconds),
    status === 'ran' ? share(seconds) : '',
    size === 0 ? '' : formatBytes(size),
  ])
  const table = formatTable(
    [['part', 'status', 'time', 'share', 'layer'], ...rows],
    [false, false, true, true, true],
  )
  const files = images.flatMap(({ path, sizeBytes, sha256 }) => [
    `${outFolder}/${path}  ${formatBytes(sizeBytes)}`,
    colors.dim(`  sha256 ${sha256}`),
  ])
  const [result, ...details] = describeResult(report, outFolder, colors)
  return `${[table, '', ...files, ...(files.length > 0 ? [''] : []), result, ...details].join('\n')}\n`
}

function isBeforeStages(part: string): boolean {
  return ['base', 'boot', 'wake'].includes(part) || part.startsWith('base ')
}

function describeResult({ run, image }: Report, outFolder: string, colors: Colors): string[] {
  const time = formatSeconds(run.durationSeconds)
  const { failure } = run
  const page = `  the report is ${outFolder}/report.html`
  if (failure === undefined) return [colors.green(`✔ ${image.name} ${image.variant} built in ${time}`), page]
  const lines = (failure.lastLines ?? []).map((line) => colors.dim(`  │ ${line}`))
  const hint = failure.hint === undefined ? [] : [`  ${failure.hint}`]
  return [colors.red(`✖ ${failure.message}`), ...hint, ...lines, page]
}

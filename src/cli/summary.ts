/** `summary`: the last build of each variant as Markdown, for the page of a GitHub Actions run. */

import type { Command } from 'commander'
import { exitCodes } from '../errors.ts'
import { readReports } from '../plan/estimates.ts'
import { readRecord } from '../release/record.ts'
import { renderSummary } from '../release/summary.ts'
import type { Report } from '../report/report.ts'
import { findVerdict } from '../verify/verdicts.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface SummaryOptions extends PipelineOptions {
  readonly since?: string
}

export function summaryCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(command)
    .option('--since <release>', 'folder of an earlier release, or its release.json, to compare sizes with')
    .action((options: SummaryOptions) => choose(() => summary(options, terminal)))
}

async function summary(options: SummaryOptions, terminal: Terminal): Promise<number> {
  const { images, outFolder } = await choosePipeline(options)
  const before = options.since === undefined ? undefined : await readRecord(options.since)
  const reports = await readReports(outFolder)
  for (const { variant } of images) {
    const report = reports.findLast(({ image }) => image.variant === variant)
    // A build that never began has nothing to report; its log says why.
    const text = report && renderSummary(await withVerdicts(report, outFolder), before)
    terminal.out(
      text ??
        `## ${variant}

No build has begun.
`,
    )
  }
  return exitCodes.ok
}

/** The report, with what `verify` has found since. */
async function withVerdicts(report: Report, outFolder: string): Promise<Report> {
  const told = report.verifications ?? []
  const kept = await Promise.all(report.images.map((image) => findVerdict(outFolder, image)))
  const verifications = report.images.flatMap(
    ({ sha256, target }, index) =>
      kept[index] ?? told.find((one) => one.sha256 === sha256 && one.target === target) ?? [],
  )
  return { ...report, verifications }
}

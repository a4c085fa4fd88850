/** `summary`: the last build of each variant as Markdown, for the page of a GitHub Actions run. */

import type { Command } from 'commander'
import type { ResolvedImage } from '../config/resolved.ts'
import { exitCodes } from '../errors.ts'
import { readReports } from '../plan/estimates.ts'
import { lookAtFreshness } from '../plan/freshness.ts'
import { readInputs } from '../provenance/inputs.ts'
import { readReleaseRecord } from '../release/record.ts'
import { renderSummary } from '../release/summary.ts'
import type { Report } from '../report/report.ts'
import { withVerdicts } from '../verify/with-verdicts.ts'
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
  const before = options.since === undefined ? undefined : await readReleaseRecord(options.since)
  const reports = await readReports(outFolder)
  for (const image of images) {
    const { variant } = image
    const report = reports.findLast(({ image }) => image.variant === variant)
    // A build that never began has nothing to report; its log says why.
    const text =
      report &&
      renderSummary(await withFreshness(await withVerdicts(report, outFolder), image, outFolder), before)
    terminal.out(
      text ??
        `## ${variant}

No build has started.
`,
    )
  }
  return exitCodes.ok
}

/** The report with a fresh comparison to the archives, or with the one from its run if the archives are unavailable. */
async function withFreshness(report: Report, image: ResolvedImage, outFolder: string): Promise<Report> {
  if (report.images.length === 0) return report
  // Layer 0 is not a stage in the report; its packages are in the image's inputs.
  const inputs = await readInputs(outFolder, report.images[0]?.madeFrom ?? '')
  if (inputs === undefined) return report
  const packages = new Map(inputs.packages.map(({ name, version }) => [name, version]))
  const now = await lookAtFreshness({ image, packages, outFolder })
  return now.status === 'unknown' && report.freshness !== undefined ? report : { ...report, freshness: now }
}

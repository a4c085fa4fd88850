/** Reports of runs, as builds leave them below `out/runs`. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ImageResult, Report, StageResult } from '../../src/report/report.ts'

const sample = JSON.parse(
  readFileSync(new URL('../fixtures/reports/succeeded.json', import.meta.url), 'utf8'),
) as Report

export interface ReportFields {
  readonly image?: Partial<Report['image']>
  readonly timings?: Report['timings']
  readonly stages?: readonly Partial<StageResult>[]
  readonly images?: readonly Partial<ImageResult>[]
}

/** Writes the report of a run with these fields, and valid values for all others. */
export function writeReport(outFolder: string, run: string, fields: ReportFields): void {
  const { image = {}, timings = [], stages = [], images = [] } = fields
  const report = {
    ...sample,
    image: { ...sample.image, ...image },
    timings,
    stages: stages.map((stage) => ({ ...sample.stages[0], ...stage })),
    images: images.map((one) => ({ ...sample.images[0], ...one })),
  }
  mkdirSync(join(outFolder, 'runs', run), { recursive: true })
  writeFileSync(join(outFolder, 'runs', run, 'report.json'), JSON.stringify(report))
}

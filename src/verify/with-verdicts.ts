/** A report together with later verdicts. */

import type { Report } from '../report/report.ts'
import { findVerdict } from './verdicts.ts'

/** The report, with what `verify` has since found about the bytes that it names. */
export async function withVerdicts(report: Report, outFolder: string): Promise<Report> {
  const reported = report.verifications ?? []
  const kept = await Promise.all(report.images.map((image) => findVerdict(outFolder, image)))
  const verifications = report.images.flatMap(
    ({ sha256, target }, index) =>
      kept[index] ?? reported.find((one) => one.sha256 === sha256 && one.target === target) ?? [],
  )
  return { ...report, verifications }
}

/** A pipeline's own checks. They run every time, because it is unknown what they import. */

import type { ResolvedCheck } from '../config/resolved.ts'
import { type Finding, judge } from '../contract/check.ts'
import type { ImageFiles } from '../disk/image-files.ts'
import type { CheckResult, ImageVerification } from '../report/verification.ts'

/** The group of their results. */
export const ownGroup = 'own'

/** A check as it is run: its place in the results, and its function. */
export interface OwnCheck {
  readonly id: string
  readonly title: string
  readonly group: typeof ownGroup
  readonly run: (files: ImageFiles) => Promise<Finding>
}

export function ownChecksOf(checks: readonly ResolvedCheck[]): readonly OwnCheck[] {
  return checks.map(({ name, title, run }) => ({
    id: name,
    title,
    group: ownGroup,
    run: async (files) => {
      const { faults, observed } = await run(files)
      return judge(faults, observed)
    },
  }))
}

/** A verification in which the results of the pipeline's own checks are replaced. */
export function withOwn(verification: ImageVerification, results: readonly CheckResult[]): ImageVerification {
  const checks = [...verification.checks.filter(({ group }) => group !== ownGroup), ...results]
  const isFine = checks.every(({ status }) => status !== 'failed')
  return { ...verification, checks, status: isFine ? 'passed' : 'failed' }
}

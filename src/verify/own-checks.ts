/** A pipeline's own checks. They run every time, because what they import is not known. */

import type { ResolvedCheck } from '../config/resolved.ts'
import { type Finding, judge } from '../contract/check.ts'
import type { ImageFiles } from '../disk/image-files.ts'
import type { CheckResult, ImageVerification } from '../report/verification.ts'

/** The group of their results. */
export const ownGroup = 'own'

/** A check as it is asked: its place in results, and its answer. */
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

/** A verification with other results of a pipeline's own checks. */
export function withOwn(verification: ImageVerification, results: readonly CheckResult[]): ImageVerification {
  const checks = [...verification.checks.filter(({ group }) => group !== ownGroup), ...results]
  const isFine = checks.every(({ status }) => status !== 'failed')
  return { ...verification, checks, status: isFine ? 'passed' : 'failed' }
}

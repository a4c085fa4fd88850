/** Failures that the configuration accepts. */

import type { Waiver } from '../config/pipeline.ts'
import type { ImageVerification } from '../report/verification.ts'

/** The same verification, with failures of waived checks marked as waived. */
export function applyWaivers(verification: ImageVerification, waivers: readonly Waiver[]): ImageVerification {
  const checks = verification.checks.map((check) => {
    const waiver = waivers.find((candidate) => candidate.check === check.id)
    if (waiver === undefined || check.status !== 'failed') return check
    return { ...check, status: 'waived' as const, reason: waiver.reason }
  })
  const isFine = checks.every(({ status }) => status !== 'failed')
  return { ...verification, checks, status: isFine ? 'passed' : 'failed' }
}

/** Waivers of checks that ran and did not fail: no longer needed. */
export function unusedWaivers(
  verifications: readonly ImageVerification[],
  waivers: readonly Waiver[],
): readonly string[] {
  const all = verifications.flatMap(({ checks }) => checks)
  return waivers.flatMap(({ check }) => {
    const asked = all.filter(({ id }) => id === check)
    return asked.length > 0 && asked.every(({ status }) => status !== 'waived') ? [check] : []
  })
}

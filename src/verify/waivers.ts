/** Failures that the configuration says are right. */

import type { Waiver } from '../config/pipeline.ts'
import type { ImageVerification } from '../report/verification.ts'

/** The same verification, with the failures of waived checks told as such. */
export function applyWaivers(verification: ImageVerification, waivers: readonly Waiver[]): ImageVerification {
  const checks = verification.checks.map((check) => {
    const waiver = waivers.find((candidate) => candidate.check === check.id)
    if (waiver === undefined || check.status !== 'failed') return check
    return { ...check, status: 'waived' as const, reason: waiver.reason }
  })
  const isFine = checks.every(({ status }) => status !== 'failed')
  return { ...verification, checks, status: isFine ? 'passed' : 'failed' }
}

/** Waivers of checks that were asked, and of which none failed: what they were for has gone. */
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

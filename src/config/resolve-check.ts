/** Resolves the checks of a pipeline: their settings, and the facts that they need about one image. */

import { z } from 'zod'
import type { CheckUse } from './check.ts'
import { type Fault, formatFound, type Resolution } from './faults.ts'
import type { ImageFacts } from './image.ts'
import { issuesToFaults } from './issues.ts'
import type { ResolvedCheck } from './resolved.ts'

/** The checks of an image, without those whose settings are wrong. */
export function resolveChecks(
  uses: readonly CheckUse[],
  facts: ImageFacts,
): Resolution<readonly ResolvedCheck[]> {
  const resolved = uses.map((use): Resolution<readonly ResolvedCheck[]> => {
    const { name, title, run } = use.spec
    const parsed = z.strictObject(use.spec.settings ?? {}).safeParse(use.settings)
    if (!parsed.success)
      return { value: [], faults: issuesToFaults(parsed.error.issues, use.settings, ['checks', name], []) }
    const settings = parsed.data as Record<string, never>
    return { value: [{ name, title, run: async (files) => run(files, settings, facts) }], faults: [] }
  })
  return {
    value: resolved.flatMap(({ value }) => value),
    faults: resolved.flatMap(({ faults }) => faults),
  }
}

/** Faults of the names of checks. */
export function checkNameFaults(uses: readonly CheckUse[]): Fault[] {
  const names = uses.map(({ name }) => name)
  return names.flatMap((name, index): Fault[] => {
    if (names.indexOf(name) !== index) return [{ path: 'checks', rule: `check ${name} is listed twice` }]
    if (/^[a-z][a-z0-9_]{0,99}$/.test(name)) return []
    const rule = 'the name of a check must be lower case letters, digits and underscores'
    return [{ path: 'checks', rule, found: formatFound(name) }]
  })
}

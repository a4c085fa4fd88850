/** What targets ask of their settings, and of what is decided beside them. */

import { type FormatSettings, type TargetName, targets } from '../targets/registry.ts'
import type { Surroundings } from '../targets/target.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { type Overrides, sourceOf } from './overrides.ts'

/** Every rule that is broken for one of the targets. */
export function targetFaults(
  chosen: readonly TargetName[],
  formats: FormatSettings,
  surroundings: Surroundings,
  overrides: readonly Overrides[],
): Fault[] {
  return chosen.flatMap((name) => {
    const broken = targets[name].brokenRules?.(formats[name], surroundings) ?? []
    return broken.map(({ path, rule, found }) => ({
      path: formatPath(path),
      rule,
      found: formatFound(found),
      source: sourceOf(overrides, path),
    }))
  })
}

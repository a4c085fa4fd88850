/** The targets' rules: for their settings, and for the rest of the pipeline. */

import { type TargetName, targets } from '../targets/registry.ts'
import type { Surroundings } from '../targets/target.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { type Overrides, originOf } from './overrides.ts'
import type { ValidFormats } from './valid-fields.ts'

/**
 * All broken rules of the chosen targets, where their settings are valid.
 * @param placeOf path of the field, as a person wrote it, that a rule is about @default the path that the rule names
 */
export function targetFaults(
  chosen: readonly TargetName[],
  formats: ValidFormats,
  surroundings: Surroundings,
  overrides: readonly Overrides[],
  placeOf: (path: readonly PropertyKey[]) => readonly PropertyKey[] = (path) => path,
): Fault[] {
  return chosen.flatMap((name) => {
    const settings = formats[name]
    const broken = settings === undefined ? [] : (targets[name].brokenRules?.(settings, surroundings) ?? [])
    return broken.map(({ path, rule, found }) => ({
      path: formatPath(placeOf(path)),
      rule,
      found: formatFound(found),
      ...originOf(overrides, placeOf(path)),
    }))
  })
}

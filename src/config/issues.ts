/** Zod's issues in this program's words. */

import type { z } from 'zod'
import { isSecretName } from '../redact.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { isRecord, type Overrides, sourceOf } from './overrides.ts'

/**
 * Faults from zod's issues.
 * @param input the value that was checked, to show what was found
 * @param prefix path of that value in the configuration
 */
export function issuesToFaults(
  issues: readonly z.core.$ZodIssue[],
  input: unknown,
  prefix: readonly PropertyKey[],
  overrides: readonly Overrides[],
): Fault[] {
  return issues.flatMap((issue) => {
    const paths =
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
    return paths.map((path) => {
      const full = [...prefix, ...path]
      const value = valueAt(input, path)
      const isSecret = value !== undefined && full.some((part) => isSecretName(String(part)))
      const found = isSecret ? 'a value that is not shown' : formatFound(value)
      return {
        path: formatPath(full),
        rule: issue.code === 'unrecognized_keys' ? 'is not known here' : ruleOf(issue.message, found),
        found,
        source: sourceOf(overrides, full),
      }
    })
  })
}

/** Drops what zod received: the fault shows it as found, in better words. */
function ruleOf(message: string, found: string | undefined): string {
  return found === undefined ? message : message.replace(/, received \w+$/, '')
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const part of path)
    value = isRecord(value) || Array.isArray(value) ? Reflect.get(value, part) : undefined
  return value
}

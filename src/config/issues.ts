/** Translates zod's issues into faults, in this program's words. */

import type { z } from 'zod'
import { isSecretName } from '../redact.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { isRecord, type Overrides, originOf } from './overrides.ts'

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
      const isUnknown = issue.code === 'unrecognized_keys'
      return {
        path: formatPath(full),
        rule: isUnknown ? 'is not known here' : ruleOf(issue, found),
        found,
        part: isUnknown ? 'key' : undefined,
        ...originOf(overrides, full, isUnknown ? 'key' : 'value'),
      }
    })
  })
}

/** The broken rule. Our schemas have their own messages; zod's are reworded to match. */
function ruleOf(issue: z.core.$ZodIssue, found: string | undefined): string {
  const { message } = issue
  if (isSizeIssue(issue) && /^Too (small|big): /.test(message)) return sizeRule(issue)
  if (!/^Invalid (input|option): expected /.test(message)) return message
  const missing = found === undefined ? 'is missing: it ' : ''
  if (issue.code === 'invalid_value') return `${missing}must be ${oneOf(issue.values.map(String))}`
  const kind = issue.code === 'invalid_type' ? kinds[issue.expected] : undefined
  return kind === undefined ? message.replace(/, received \w+$/, '') : `${missing}must be ${kind}`
}

type SizeIssue = z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig

function isSizeIssue(issue: z.core.$ZodIssue): issue is SizeIssue {
  return issue.code === 'too_small' || issue.code === 'too_big'
}

function sizeRule(issue: SizeIssue): string {
  const [limit, words] =
    issue.code === 'too_small'
      ? ([issue.minimum, ['at least', 'more than']] as const)
      : ([issue.maximum, ['at most', 'less than']] as const)
  const bound = `${words[issue.inclusive === false ? 1 : 0]} ${limit}`
  if (issue.origin === 'string') return `must have ${bound} ${limit === 1 ? 'character' : 'characters'}`
  if (issue.origin === 'array') return `must have ${bound} ${limit === 1 ? 'entry' : 'entries'}`
  return `must be ${bound}`
}

const kinds: Readonly<Record<string, string>> = {
  array: 'a list, as in [a, b]',
  object: 'a group of keys and values',
  record: 'a group of keys and values',
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? `${values[0]}` : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const part of path)
    value = isRecord(value) || Array.isArray(value) ? Reflect.get(value, part) : undefined
  return value
}

/** Faults of a configuration, collected so that a person sees all of them at once. */

import { exitCodes, PipelineError } from '../errors.ts'
import { isSecretName, isUrl, redact, redactAll, redactUrl } from '../redact.ts'
import { type Place, renderPlace } from '../text.ts'

/** One thing wrong with a configuration. */
export interface Fault {
  /** Path into the configuration, e.g. `disk.partitions[1].sizeMiB`. */
  readonly path: string
  /** The broken rule. */
  readonly rule: string
  /** The value found, as a person would write it; absent if there is none. */
  readonly found?: string | undefined
  /** File or option that the value came from. */
  readonly source?: string | undefined
  /** Points at the field's name instead of its value. */
  readonly part?: 'key' | undefined
  /** The position in that file. */
  readonly place?: Place | undefined
}

/** The resolved value, and every fault in its source. */
export interface Resolution<Value> {
  readonly value: Value
  readonly faults: readonly Fault[]
}

export function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? String(part) : `.${String(part)}`
  }
  return text === '' ? '(top level)' : text
}

/** Formats a value as one short line for an error text, without credentials. */
export function formatFound(value: unknown): string | undefined {
  if (value === undefined) return undefined
  const text = typeof value === 'number' ? String(value) : toJson(value)
  return text.length > 120 ? `${text.slice(0, 117)}…` : text
}

function toJson(value: unknown): string {
  // JSON cannot express these: it would write null or throw.
  const spell = (key: string, inner: unknown) => {
    if (isSecretName(key)) return '…'
    if (typeof inner === 'string') return isUrl(inner) ? redactUrl(inner) : redact(inner)
    const isUnknown = typeof inner === 'bigint' || (typeof inner === 'number' && !Number.isFinite(inner))
    return isUnknown ? String(inner) : inner
  }
  try {
    return JSON.stringify(value, spell) ?? String(value)
  } catch {
    return 'a value that holds itself'
  }
}

export function formatFault(fault: Fault): string {
  const found = fault.found === undefined ? '' : `, found ${fault.found}`
  const { source = '', place } = fault
  const from =
    source === '' ? '' : place === undefined ? ` (${source})` : `\n${renderPlace(source, place, '    ')}`
  return `${fault.path}: ${fault.rule}${found}${from}`
}

/** All faults of a configuration as one error. */
export function configurationError(faults: readonly Fault[], hint?: string): PipelineError {
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`
  return new PipelineError({
    code: 'configuration',
    message: [`the configuration has ${count}:`, ...faults.map((fault) => `  ${formatFault(fault)}`)].join(
      '\n',
    ),
    hint: hint ?? 'fix these and run the command again; nothing was touched.',
    exitCode: exitCodes.badInput,
    details: { faults: redactAll(faults) },
  })
}

/** Values for one run that override `pipeline.ts`: from a YAML file or `--set path=value`. */

import type { Document } from 'yaml'
import { exitCodes, PipelineError } from '../errors.ts'
import { reasonOf } from '../host/failures.ts'
import { readRegularText } from '../host/regular-file.ts'
import { isSecretName, redact } from '../redact.ts'
import { type Place, renderPlace } from '../text.ts'
import { type Fault, formatFound } from './faults.ts'
import { pathKey, type Texts, textsOf } from './typed-texts.ts'
import { parseYaml, placesOf, type Span, YamlError } from './yaml.ts'
import { spansOf } from './yaml-spans.ts'

export interface Overrides {
  /** Where the values come from, for error texts: a file name or an option. */
  readonly source: string
  readonly values: Readonly<Record<string, unknown>>
  /** How values that look like numbers were written. @default there are none */
  readonly texts?: Texts
  /** The position of a value in its file, or of the closest value above it that has one. @default unknown */
  readonly placeOf?: (path: readonly PropertyKey[], part: Part) => Place
}

/** A field, or the value it is set to. */
type Part = 'key' | 'value'

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads a YAML file of overrides. */
export async function readOverrides(file: string): Promise<Overrides> {
  let text: string
  try {
    text = await readRegularText(file)
  } catch (cause) {
    throw new PipelineError({
      code: 'overrides-unreadable',
      message: `cannot read the configuration file ${file}: ${reasonOf(cause)}`,
      hint: 'give --config the path of a YAML file.',
      exitCode: exitCodes.badInput,
      cause,
    })
  }
  let read: Read
  try {
    read = readYaml(text)
  } catch (cause) {
    const { message } = cause as Error
    const place = cause instanceof YamlError ? `\n${renderPlace(file, cause.place)}` : ''
    throw new PipelineError({
      code: 'overrides-syntax',
      message: `${file} is not valid YAML: ${redact(message)}${place}`,
      hint: 'fix the file, or leave it out of --config; nothing was touched.',
      exitCode: exitCodes.badInput,
      cause,
    })
  }
  const values = read.value ?? {}
  if (!isRecord(values)) {
    throw new PipelineError({
      code: 'overrides-syntax',
      message: `${file} must have keys and values at its top level, found ${formatFound(values)}`,
      hint: 'write fields of pipeline.ts, for example machine: { cpus: 4 }; nothing was touched.',
      exitCode: exitCodes.badInput,
    })
  }
  return { source: file, values, texts: read.texts, placeOf: findPlaces(text, read.document) }
}

function findPlaces(text: string, document: Document): NonNullable<Overrides['placeOf']> {
  const { keys, values } = spansOf(document)
  const placeAt = placesOf(text)
  return (path, part) => {
    const above = path.map((_name, index) => pathKey(path.slice(0, path.length - index)))
    const found = (part === 'key' ? keys.get(pathKey(path)) : undefined) ?? first(above, values)
    return placeAt(found ?? [0, 1])
  }
}

function first(keys: readonly string[], spans: ReadonlyMap<string, Span>): Span | undefined {
  const key = keys.find((key) => spans.has(key))
  return key === undefined ? undefined : spans.get(key)
}

/** Parses `--set mirror.debian=http://…`. The value is YAML, so it can be a number, list, or boolean. */
export function parseAssignment(assignment: string): Overrides {
  const match = /^([A-Za-z_][\w.-]*)=([\s\S]*)$/.exec(assignment)
  const path = match?.[1]?.split('.') ?? []
  if (match?.[2] === undefined || path.some((part) => part === '')) {
    throw new PipelineError({
      code: 'assignment-syntax',
      message: `--set needs path=value, found ${formatFound(assignment)}`,
      hint: 'for example --set disk.sizeMiB=10080, or --set stages.apt_upgrade.backports=true',
      exitCode: exitCodes.badInput,
    })
  }
  let value: unknown
  let texts: Texts
  try {
    const read = readYaml(match[2], path)
    value = read.value
    texts = read.texts
  } catch (cause) {
    throw new PipelineError({
      code: 'assignment-syntax',
      message: `the value of --set ${match[1]} is not valid YAML${isSecretName(match[1] ?? '') ? '' : `: ${redact((cause as Error).message).trimEnd()}`}`,
      hint: "put quotes around a value that has any of YAML's own characters, such as * & ! [ {.",
      exitCode: exitCodes.badInput,
      cause,
    })
  }
  const values = path.reduceRight<unknown>((inner, part) => ({ [part]: inner }), value)
  return { source: `--set ${match[1]}`, values: values as Record<string, unknown>, texts }
}

/**
 * A pipeline has ten thousand. The limit bounds the work: each unknown key is a fault whose origin is looked up in all
 * overrides.
 */
const mostCharacters = 64 * 1024

interface Read {
  readonly document: Document
  readonly value: unknown
  readonly texts: Texts
}

/** @param path where the value belongs in the pipeline */
function readYaml(text: string, path: readonly string[] = []): Read {
  const document = parseYaml(text, mostCharacters)
  // Aliases are resolved only here: one can have no target, or expand beyond all memory.
  const value: unknown = document.toJS()
  refuseCycles(value)
  return { document, value, texts: textsOf(document, path) }
}

/** In YAML a value can contain itself. No setting does, and traversing one would never end. */
function refuseCycles(value: unknown, above: readonly unknown[] = []): void {
  if (typeof value !== 'object' || value === null) return
  if (above.includes(value)) throw new Error('an alias (*) is inside the value that it repeats')
  for (const inner of Object.values(value)) refuseCycles(inner, [...above, value])
}

/** Merges overrides into a value: objects key by key, everything else as a whole. */
export function mergeOver(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    // A plain assignment to `__proto__` adds no key, so it would not be reported as unknown.
    Object.defineProperty(merged, key, {
      value: mergeOver(ownValue(base, key), value),
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return merged
}

function ownValue(record: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

/**
 * The override that set the value at `path`, or the closest value above or below it, and its position there. Empty if the
 * value comes from the pipeline.
 */
export function originOf(
  overrides: readonly Overrides[],
  path: readonly PropertyKey[],
  part: Part = 'value',
): Pick<Fault, 'source' | 'place'> {
  const over = lastOver(overrides, path)
  if (over === undefined) return {}
  const { source, placeOf } = over
  if (placeOf === undefined) return { source }
  const place = placeOf(path, part)
  const isSecret = path.some((name) => isSecretName(String(name)))
  return { source, place: isSecret ? { ...place, text: '' } : place }
}

/** How the value at `path` was written in YAML, if it looks like a number and came from an override. */
export function textOf(overrides: readonly Overrides[], path: readonly PropertyKey[]): string | undefined {
  return lastOver(overrides, path)?.texts?.get(pathKey(path))
}

function lastOver(overrides: readonly Overrides[], path: readonly PropertyKey[]): Overrides | undefined {
  return overrides.findLast((override) => {
    let value: unknown = override.values
    for (const part of path) {
      if (!isRecord(value)) return true
      if (!Object.hasOwn(value, part)) return false
      value = value[String(part)]
    }
    return true
  })
}

/** Gives YAML values the types that a schema wants: `4.20` looks like a number, but a schema may want a string. */

import { type Document, isAlias, isMap, isScalar, isSeq, type Node } from 'yaml'
import type { z } from 'zod'

type Path = readonly PropertyKey[]

/** The source text of numbers and booleans, by `pathKey`. */
export type Texts = ReadonlyMap<string, string>

export const pathKey = (path: Path): string => JSON.stringify(path)

/** Collects them from a document without cycles. @param prefix path of its top */
export function textsOf(document: Document, prefix: Path = []): Texts {
  const texts = new Map<string, string>()
  const walk = (node: unknown, path: Path): void => {
    if (isAlias(node)) walk(node.resolve(document), path)
    else if (isMap(node)) for (const { key, value } of node.items) walk(value, [...path, keyOf(key)])
    else if (isSeq(node)) for (const [index, item] of node.items.entries()) walk(item, [...path, index])
    else if (
      isScalar(node) &&
      node.source !== undefined &&
      /^(number|bigint|boolean)$/.test(typeof node.value)
    )
      texts.set(pathKey(path), node.source)
  }
  walk(document.contents as Node | null, prefix)
  return texts
}

/**
 * Parses a value. If the schema rejects a number or a boolean, it is given the source text instead.
 * @param textAt that text, by path in the value; undefined if the value was neither, or was not written in YAML
 */
export function parseTyped<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  textAt: (path: Path) => string | undefined,
): { readonly parsed: z.ZodSafeParseResult<z.output<Schema>>; readonly value: unknown } {
  const parsed = schema.safeParse(value)
  const refused = pathsOf(parsed, textAt)
  if (refused.length === 0) return { parsed, value }
  const asTexts = refused.reduce((now, path) => replaceAt(now, path, textAt(path)), value)
  // The schema does not want a string there either, so the number itself is wrong.
  const unwanted = (schema.safeParse(asTexts).error?.issues ?? [])
    .filter(({ code }) => code === 'invalid_type')
    .map(({ path }) => pathKey(path))
  const wanted = refused.filter((path) => !unwanted.includes(pathKey(path)))
  const typed = wanted.reduce((now, path) => replaceAt(now, path, textAt(path)), value)
  return { parsed: schema.safeParse(typed), value: typed }
}

// --- internal ---

const keyOf = (key: unknown) => String(isScalar(key) ? key.value : key)

function pathsOf(
  parsed: z.ZodSafeParseResult<unknown>,
  textAt: (path: Path) => string | undefined,
): readonly Path[] {
  return (parsed.error?.issues ?? []).map(({ path }) => path).filter((path) => textAt(path) !== undefined)
}

function replaceAt(value: unknown, [first, ...rest]: Path, text: string | undefined): unknown {
  if (first === undefined) return text
  if (Array.isArray(value))
    return value.map((item, index) => (index === first ? replaceAt(item, rest, text) : item))
  const record = value as Readonly<Record<PropertyKey, unknown>>
  return { ...record, [first]: replaceAt(record[first], rest, text) }
}

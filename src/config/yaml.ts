/** Reads untrusted YAML, in time bounded by its length. */

import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { isSecretName, redact } from '../redact.ts'
import type { Place } from '../text.ts'

/** An error in a text that is not valid YAML, with its position. */
export class YamlError extends Error {
  readonly place: Place

  constructor(message: string, place: Place) {
    super(message)
    this.place = place
  }
}

/** A range of a text, in characters. */
export type Span = readonly [from: number, to: number]

/** @throws YamlError; Error if the text is too long */
export function parseYaml(text: string, mostCharacters: number): Document {
  if (text.length > mostCharacters)
    throw new Error(`it has ${text.length} characters, but at most ${mostCharacters} are read`)
  const document = parseDocument(text, {
    // The library compares every pair of keys to find duplicates.
    uniqueKeys: false,
    prettyErrors: false,
    // With a list as a key, Node.js would print a warning that contains the list unescaped.
    stringKeys: true,
  })
  const fail = (message: string, span: Span) => new YamlError(message, placesOf(text)(span))
  const [error] = document.errors
  if (error !== undefined)
    throw fail(error.code === 'NON_STRING_KEY' ? 'a key must be a string' : error.message, error.pos)
  visit(document, {
    Map: (_key, { items }) => {
      const names = new Set<string>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        const [from = 0, to = from + 1] = key.range ?? []
        if (names.has(name)) throw fail(`the key ${name} appears twice`, [from, to])
        names.add(name)
      }
    },
  })
  return document
}

/** Converts spans of a text to positions. The line is omitted if it may contain a credential. */
export function placesOf(text: string): (span: Span) => Place {
  const counter = new LineCounter()
  counter.addNewLine(0)
  for (const { index } of text.matchAll(/\n/g)) counter.addNewLine(index + 1)
  return ([from, to]) => {
    const { line, col: column } = counter.linePos(Math.min(from, text.length))
    const start = counter.lineStarts[line - 1] ?? 0
    const [whole = ''] = text.slice(start, start + mostOfLine).split(/\r?\n/)
    const isSecret = (whole.match(/[\w-]+/g) ?? []).some(isSecretName) || redact(whole) !== whole
    const length = Math.min(to - from, start + whole.length - from)
    return { line, column, text: isSecret ? '' : whole, length: Math.max(1, length) }
  }
}

const mostOfLine = 4096

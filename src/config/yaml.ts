/** YAML from elsewhere, read in a time that its length bounds. */

import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml'

/** @throws Error with what is wrong, or that it is too long */
export function parseYaml(text: string, mostCharacters: number): Document {
  if (text.length > mostCharacters)
    throw new Error(`it has ${text.length} characters, and at most ${mostCharacters} are read`)
  const lines = new LineCounter()
  // The library compares each key with each other one to find those that are there twice.
  const document = parseDocument(text, { uniqueKeys: false, lineCounter: lines })
  const [error] = document.errors
  if (error !== undefined) throw error
  visit(document, {
    Map: (_key, { items }) => {
      const names = new Set<string>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        if (names.has(name))
          throw new Error(`the key ${name} is there twice, again at line ${lineOf(key.range?.[0], lines)}`)
        names.add(name)
      }
    },
  })
  return document
}

// --- internal ---

function lineOf(offset: number | undefined, lines: LineCounter): number {
  return offset === undefined ? 1 : lines.linePos(offset).line
}

/** Licenses from Debian's copyright files, where those are machine-readable. */

import { expressionsOf } from './license-names.ts'
import { parseFields } from './release.ts'

/** OpenJDK's file has 220 kB. */
export const mostCopyrightBytes = 2 * 1024 ** 2

/**
 * The licenses that a machine-readable copyright file declares for the files of its package, as sorted SPDX license
 * expressions that all apply. Empty for a file in prose, and for one that exceeds all limits.
 */
export function parseLicenses(text: string): readonly string[] {
  if (text.length > mostCopyrightBytes) return []
  const [header = '', ...stanzas] = paragraphsOf(text)
  const { format = '', license } = fieldsOf(header)
  if (!/copyright-format|dep5/i.test(format)) return []
  const declared = stanzas
    .map(fieldsOf)
    .flatMap((fields) => (fields.files === undefined ? [] : [fields.license]))
  const lines = declared.length === 0 ? [license] : declared
  const known = new Set(lines.flatMap((line) => line?.split('\n')[0]?.trim() || []))
  if (known.size > mostLicenses || [...known].some(({ length }) => length > mostNameCharacters)) return []
  return [...new Set([...known].flatMap(expressionsOf))].sort()
}

// --- internal ---

/** Perl has fifty licenses. */
const mostLicenses = 500
const mostNameCharacters = 200

function paragraphsOf(text: string): readonly string[] {
  const paragraphs: string[][] = [[]]
  for (const line of text.split('\n')) {
    if (line.trim() !== '') paragraphs.at(-1)?.push(line)
    else if (paragraphs.at(-1)?.length !== 0) paragraphs.push([])
  }
  return paragraphs.map((lines) => lines.join('\n'))
}

interface CopyrightFields {
  readonly format?: string
  readonly files?: string
  readonly license?: string
}

/** The fields by lowercase name, because the format ignores case. */
function fieldsOf(paragraph: string): CopyrightFields {
  const fields = [...parseFields(paragraph)].map(([name, value]) => [name.toLowerCase(), value] as const)
  const { 'format-specification': former, ...found } = Object.fromEntries(fields)
  return former === undefined ? found : { format: former, ...found }
}

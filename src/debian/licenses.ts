/** Licenses from Debian's copyright files, as far as they are machine-readable. */

import { expressionsOf } from './license-names.ts'
import { parseFields } from './release.ts'

/** OpenJDK's has 220 kB. */
export const mostCopyrightBytes = 2 * 1024 ** 2

/**
 * The licenses that a machine-readable copyright file declares for the files of its package, as SPDX license expressions
 * that hold all at once, sorted; none for a file in prose, or one that goes beyond all measure.
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

/** Perl has fifty. */
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

/** By their names in lower case, as the format has it. */
function fieldsOf(paragraph: string): CopyrightFields {
  const fields = [...parseFields(paragraph)].map(([name, value]) => [name.toLowerCase(), value] as const)
  const { 'format-specification': former, ...found } = Object.fromEntries(fields)
  return former === undefined ? found : { format: former, ...found }
}

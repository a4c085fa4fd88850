/** Licenses from Debian's copyright files, as far as they are machine-readable. */

import { parseFields } from './release.ts'

/**
 * The short names of the licenses in a machine-readable copyright file; none for a file in prose. Names that only mean
 * something to people (`other`, `custom`) are left out.
 */
export function parseLicenses(text: string): readonly string[] {
  const [header = '', ...stanzas] = text.split(/\n(?:\s*\n)+/)
  if (!/^Format(?:-Specification)?:.*(?:copyright-format|dep5)/im.test(header)) return []
  const names = stanzas.flatMap((stanza) => {
    const fields = parseFields(stanza)
    const line = fields.has('Files') ? fields.get('License')?.split('\n')[0]?.trim() : undefined
    return line === undefined || line === '' ? [] : [toSpdx(line)]
  })
  return [...new Set(names)].sort()
}

/** Debian's operators are SPDX's in lower case, with a comma where precedence matters. */
function toSpdx(line: string): string {
  const words = line.replaceAll(/,\s+(and|or)\b/gi, ' $1').split(/\s+/)
  return words
    .map((word) =>
      /^(and|or|with)$/i.test(word) ? word.toUpperCase() : (spdxNames[word.toLowerCase()] ?? gnu(word)),
    )
    .join(' ')
}

/** `GPL-2+` is GPL-2.0-or-later, and `GPL-2` is that version only. */
function gnu(word: string): string {
  const [, name, major, minor = '0', later] = /^(A?GPL|LGPL)-(\d)(?:\.(\d))?(\+?)$/i.exec(word) ?? []
  if (name === undefined || major === undefined) return word
  return `${name.toUpperCase()}-${major}.${minor}-${later === '+' ? 'or-later' : 'only'}`
}

const spdxNames: Readonly<Record<string, string>> = {
  'apache-2': 'Apache-2.0',
  'artistic-1': 'Artistic-1.0',
  'artistic-2': 'Artistic-2.0',
  'bsd-2-clause': 'BSD-2-Clause',
  'bsd-3-clause': 'BSD-3-Clause',
  'bsd-4-clause': 'BSD-4-Clause',
  'bsl-1': 'BSL-1.0',
  cc0: 'CC0-1.0',
  'cc0-1.0': 'CC0-1.0',
  expat: 'MIT',
  'mpl-1.1': 'MPL-1.1',
  'mpl-2.0': 'MPL-2.0',
  'openldap-2.8': 'OLDAP-2.8',
  psf: 'PSF-2.0',
  'psf-2': 'PSF-2.0',
  isc: 'ISC',
  zlib: 'Zlib',
}

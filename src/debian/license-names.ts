/** Converts Debian's license names, and conditions made of them, to SPDX license expressions. */

import parseExpression from 'spdx-expression-parse'
import ids from 'spdx-license-list/simple.js'

/**
 * Parses a `License:` line of a copyright file into expressions that all apply: `GPL-2+ and Expat` has two. Without commas,
 * `and` binds tighter than `or`; everything before a comma forms one group.
 */
export function expressionsOf(line: string): readonly string[] {
  // The format defines no parentheses, so their meaning is unknown.
  if (/[()]/.test(line)) return [referenceTo(line)]
  const [first = '', ...others] = line.split(/,\s+(?=(?:and|or)\s)/i)
  let terms = alternatives(first)
  for (const part of others) {
    const [, operator = '', rest = ''] = /^(and|or)\s+(.*)$/i.exec(part) ?? []
    const more = alternatives(rest)
    terms = operator.toLowerCase() === 'and' ? [...terms, ...more] : [anyOf([allOf(terms), allOf(more)])]
  }
  return terms
}

/** An expression that SPDX tools can parse: the given one, or else a reference to a license with that name. */
export function validExpression(text: string): string {
  if (text.length > mostCharacters) return referenceTo(text)
  try {
    parseExpression(text)
    return text
  } catch {
    return referenceTo(text)
  }
}

/** An expression for people, who recognize Debian's own names. */
export function withoutPrefix(expression: string): string {
  return expression.replaceAll(referencePrefix, '')
}

/** The names in an expression that are not on SPDX's license list. */
export function referencesIn(expression: string): readonly string[] {
  return expression.match(/LicenseRef-[A-Za-z0-9.-]+/g) ?? []
}

// --- internal ---

/** SPDX's prefix for a license that is not on its list. */
const referencePrefix = 'LicenseRef-'

/** No license condition in Debian's packages is longer. */
const mostCharacters = 1000

/** Parses `a or b and c` into terms that all apply. */
function alternatives(text: string): readonly string[] {
  const options = text.split(/\s+or\s+/i).map((option) => option.split(/\s+and\s+/i).map(nameOf))
  const [only = []] = options
  return options.length === 1 ? only : [anyOf(options.map(allOf))]
}

function anyOf(terms: readonly string[]): string {
  const distinct = [...new Set(terms)].sort()
  return distinct
    .map((term) => (term.includes(' AND ') && distinct.length > 1 ? `(${term})` : term))
    .join(' OR ')
}

function allOf(terms: readonly string[]): string {
  const distinct = [...new Set(terms)]
  return distinct
    .map((term) => (term.includes(' OR ') && distinct.length > 1 ? `(${term})` : term))
    .join(' AND ')
}

/** `GPL-2+ with Bison exception` or `Expat`. */
function nameOf(text: string): string {
  const name = text.trim()
  const [, license, exception] = /^(\S+)\s+with\s+(\S+)\s+exception$/i.exec(name) ?? []
  const known = findLicense((license ?? name).toLowerCase())
  if (known === undefined) return referenceTo(name)
  if (exception === undefined) return known
  const excepted = exceptions.get(exception.toLowerCase())
  return excepted === undefined ? referenceTo(name) : `${known} WITH ${excepted}`
}

/** The SPDX name of a license; undefined if there is none, or if it is not certain. */
function findLicense(word: string): string | undefined {
  const [, base = '', later] = /^(.*?)(\+?)$/.exec(ownNames.get(word) ?? word) ?? []
  // `GFDL-NIV` is the GFDL without invariant sections.
  const family = base.replace(/^gfdl-niv-([\d.]+)$/, 'gfdl-$1-no-invariants')
  for (const name of [family, `${family}.0`]) {
    // First, because the list also has `GPL-2.0`, the deprecated name.
    const versions = licenseIds.get(`${name}-${later === '+' ? 'or-later' : 'only'}`)
    if (versions !== undefined) return versions
    if (later === '' && licenseIds.has(name)) return licenseIds.get(name)
  }
  return undefined
}

function referenceTo(text: string): string {
  const name = text.replaceAll(/\+(?![A-Za-z0-9])/g, '-or-later').replaceAll(/[^A-Za-z0-9.]+/g, '-')
  return referencePrefix + (name.replaceAll(/^-+|-+$/g, '').slice(0, mostNameCharacters) || 'unnamed')
}

const mostNameCharacters = 100

const licenseIds = new Map([...ids].map((id) => [id.toLowerCase(), id]))

/**
 * Names that differ from SPDX's by more than case and a version's trailing zeros. Names without a version are omitted: the
 * format says they mean the lowest version, but packages use them for any.
 */
const ownNames = new Map([
  ['cc0', 'cc0-1.0'],
  ['expat', 'mit'],
  ['openldap-2.8', 'oldap-2.8'],
])

/** Exceptions whose short name can mean only one text. Those of Autoconf and OpenSSL can mean several. */
const exceptions = new Map([
  ['bison', 'Bison-exception-2.2'],
  ['bison-2.2', 'Bison-exception-2.2'],
  ['classpath', 'Classpath-exception-2.0'],
  ['font', 'Font-exception-2.0'],
  ['libtool', 'Libtool-exception'],
  ['linux-syscall-note', 'Linux-syscall-note'],
  ['llvm', 'LLVM-exception'],
  ['texinfo', 'Texinfo-exception'],
])

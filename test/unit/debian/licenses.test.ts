/** Licenses of copyright files: what is understood, what is not, and what a hostile file can do. */

import parseExpression from 'spdx-expression-parse'
import { describe, expect, it } from 'vitest'
import { expressionsOf, validExpression, withoutPrefix } from '../../../src/debian/license-names.ts'
import { parseLicenses } from '../../../src/debian/licenses.ts'

const header = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
const fileOf = (...licenses: string[]) =>
  [header, ...licenses.map((license) => `Files: *\nCopyright: somebody\nLicense: ${license}`)].join('\n\n')

describe('the licenses of a copyright file', () => {
  it('are those of its stanzas of files, which hold all at once', () => {
    const text = `${header}
Upstream-Name: sample

Files: *
Copyright: somebody
License: GPL-2+ and BSD-3-clause
\t 
Files: lib/*
Copyright: somebody
license: Expat
 Permission is granted.
 .
 Files: none

Files: more/*
License: LGPL-2.1, or MPL-2.0

License: GPL-3+
 Its text, which is of no file.
`
    expect(parseLicenses(text)).toEqual([
      'BSD-3-Clause',
      'GPL-2.0-or-later',
      'LGPL-2.1-only OR MPL-2.0',
      'MIT',
    ])
  })

  it('are those of its header if no stanza has one, also by the format’s former name', () => {
    expect(parseLicenses('Format-Specification: http://dep.debian.net/deps/dep5\nLicense: GPL-2\n')).toEqual([
      'GPL-2.0-only',
    ])
    expect(parseLicenses('Format:\n https://www.debian.org/doc/copyright-format/1.0/\nLicense: ISC')).toEqual(
      ['ISC'],
    )
  })

  it('are none of a file that is for people', () => {
    expect(parseLicenses('This package was debianized by somebody.\n\nLicense: GPL\n')).toEqual([])
    expect(parseLicenses('Format: none\n\nFiles: *\nLicense: GPL-2\n')).toEqual([])
    expect(parseLicenses(`${header}\n\nFiles: *\nLicense:\n A text alone.\n`)).toEqual([])
    expect(parseLicenses('')).toEqual([])
  })

  it.each<[string, string]>([
    ['a long file', fileOf('GPL-2') + '\n'.repeat(3 * 2 ** 20)],
    ['a long name', fileOf('GPL-2', 'x'.repeat(201))],
    ['more licenses than any package has', fileOf(...Array.from({ length: 501 }, (_, at) => `name-${at}`))],
  ])('are not known of %s', (_case, text) => {
    expect(parseLicenses(text)).toEqual([])
  })

  it('are read in time that grows no faster than the file', () => {
    const parts = [' \t', '\n \n', ' and', ', or ', ': ', 'License: ', 'Files:\n', '+', '(']
    for (const part of parts) {
      const text = `${header}\n\nFiles: *\nLicense: ${part.repeat(2 ** 20 / part.length)}`
      for (const license of parseLicenses(text)) parseExpression(license)
    }
  })
})

describe('Debian’s name of a license', () => {
  it.each([
    ['GPL-2', 'GPL-2.0-only'],
    ['GPL-2.0+', 'GPL-2.0-or-later'],
    ['LGPL-3+', 'LGPL-3.0-or-later'],
    ['GFDL-NIV-1.3+', 'GFDL-1.3-no-invariants-or-later'],
    ['Apache-2', 'Apache-2.0'],
    ['bsd-3-clause', 'BSD-3-Clause'],
    ['ZLIB', 'Zlib'],
    ['OpenLDAP-2.8', 'OLDAP-2.8'],
    ['GPL-3+ with Bison exception', 'GPL-3.0-or-later WITH Bison-exception-2.2'],
    ['GPL-2 with Linux-syscall-note exception', 'GPL-2.0-only WITH Linux-syscall-note'],
    // SPDX has no name that certainly means the same.
    ['GPL', 'LicenseRef-GPL'],
    ['GPL-9+', 'LicenseRef-GPL-9-or-later'],
    ['Apache-2.0+', 'LicenseRef-Apache-2.0-or-later'],
    ['public-domain', 'LicenseRef-public-domain'],
    ['GPL-2+ with Autoconf exception', 'LicenseRef-GPL-2-or-later-with-Autoconf-exception'],
    ['ISC+IBM', 'LicenseRef-ISC-IBM'],
    ['constructor', 'LicenseRef-constructor'],
    ['GPL-2 with constructor exception', 'LicenseRef-GPL-2-with-constructor-exception'],
    ['BSD-3-clause and/or GPL-3+', 'LicenseRef-BSD-3-clause-and-or-GPL-3-or-later'],
    ['(GPL-2 or MIT) and ISC', 'LicenseRef-GPL-2-or-MIT-and-ISC'],
    ['…', 'LicenseRef-unnamed'],
  ])('%s is %s', (name, expression) => {
    expect(expressionsOf(name)).toEqual([expression])
    expect(() => parseExpression(expression)).not.toThrow()
  })

  it.each([
    ['GPL-1+ or Artistic-2.0, and Expat', ['Artistic-2.0 OR GPL-1.0-or-later', 'MIT']],
    ['Expat or GPL-2 and ISC', ['(GPL-2.0-only AND ISC) OR MIT']],
    ['Expat and ISC, or Zlib', ['(MIT AND ISC) OR Zlib']],
    ['GPL-2 or GPL-3, or Zlib', ['GPL-2.0-only OR GPL-3.0-only OR Zlib']],
    ['GPL-2 or ISC, and MIT, or Zlib', ['((GPL-2.0-only OR ISC) AND MIT) OR Zlib']],
    ['Expat or Expat', ['MIT']],
  ])('has the precedence of the format in %s', (line, expressions) => {
    expect(expressionsOf(line)).toEqual(expressions)
  })

  it('is shown to people without a prefix', () => {
    expect(withoutPrefix('ISC OR LicenseRef-public-domain')).toBe('ISC OR public-domain')
  })

  it('is a reference where an older record has no expression', () => {
    expect(validExpression('ISC OR MIT')).toBe('ISC OR MIT')
    expect(validExpression('BSD-3-Clause and/or GPL-3.0-or-later')).toBe(
      'LicenseRef-BSD-3-Clause-and-or-GPL-3.0-or-later',
    )
    expect(validExpression(`MIT ${'OR MIT '.repeat(10_000)}`)).toMatch(/^LicenseRef-[A-Za-z0-9.-]{1,100}$/)
  })
})

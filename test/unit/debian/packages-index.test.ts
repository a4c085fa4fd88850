import { expect, it } from 'vitest'
import { openIndex } from '../../../src/debian/packages-index.ts'

const stanza = (name: string, more = '') =>
  `Package: ${name}\nVersion: 1:2\nArchitecture: amd64\n${more}Filename: pool/${name}.deb\nSize: 9\nSHA256: ${name}-digest\n`

it('a package is found by its path, first, last and in between, and never by a line of a description', () => {
  const description = 'Description: x\n Filename: pool/other.deb\n'
  const find = openIndex([stanza('a'), stanza('b', description), stanza('c').trimEnd()].join('\n'))
  for (const name of ['a', 'b', 'c'])
    expect(find(`pool/${name}.deb`)).toEqual({
      fileName: `pool/${name}.deb`,
      archiveName: `${name}_1%3a2_amd64.deb`,
      sha256: `${name}-digest`,
      size: 9,
    })
  expect(['pool/other.deb', 'pool/', '', 'a'].map(find)).toEqual([undefined, undefined, undefined, undefined])
  expect(openIndex('')('pool/a.deb')).toBeUndefined()
  expect(openIndex('Filename: x\nSize: 1\n')('x')).toBeUndefined()
})

it('an index is searched once, however often packages are asked for', () => {
  const index = Array.from({ length: 50_000 }, (_, number) => stanza(`p${number}`)).join('\n')
  const find = openIndex(index)
  // Each of them took 10 ms when every request searched the index: hours.
  for (let number = 0; number < 1_000_000; number += 1) find('pool/missing.deb')
  expect(find('pool/p49999.deb')).toMatchObject({ sha256: 'p49999-digest' })
})

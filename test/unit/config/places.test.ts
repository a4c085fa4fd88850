/** Faults as an editor opens them: file, line and column, and what is meant underlined. */

import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { originOf, readOverrides } from '../../../src/config/overrides.ts'
import { findField } from '../../../src/config/source-fields.ts'
import { placesOf } from '../../../src/config/yaml.ts'
import { type Place, renderPlace } from '../../../src/text.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

/** What is underlined, and where. */
const marked = ({ line, column, text, length }: Place) =>
  `${line}:${column} ${text.slice(column - 1, column - 1 + length)}`

describe('a value of a YAML file', () => {
  async function placeOf(text: string, at: readonly PropertyKey[], part: 'key' | 'value' = 'value') {
    writeFileSync(path('site.yaml'), text)
    const { place } = originOf([await readOverrides(path('site.yaml'))], at, part)
    return place && marked(place)
  }

  it.each([
    ['plain', 'a: 1\nhostname: one   # why\n', ['hostname'], '2:11 one'],
    ['quoted', "hostname: 'one two'\n", ['hostname'], "1:11 'one two'"],
    ['in a group', 'machine:\n  cpus: 4\n', ['machine', 'cpus'], '2:9 4'],
    ['in a flow', 'machine: { cpus: 4, b: 2 }\n', ['machine', 'cpus'], '1:18 4'],
    ['in a list', 'targets:\n  - kvm\n  - kvn\n', ['targets', 1], '3:5 kvn'],
    ['behind an alias', 'a: &a { b: 1 }\nmachine: *a\n', ['machine', 'b'], '2:10 *a'],
    ['of several lines, of which one is shown', 'a: |\n  one\n  two\n', ['a'], '1:4 |'],
    ['after other line ends', 'a: 1\r\nb: 2\r\n', ['b'], '2:4 2'],
    ['with characters of two units before it', 'a: { "😀": 1, b: 2 }\n', ['a', 'b'], '1:18 2'],
  ])('%s is underlined', async (_what, text, at, expected) => {
    expect(await placeOf(text, at)).toBe(expected)
  })

  it('that should not be there is shown by its key', async () => {
    expect(await placeOf('machine:\n  cpu: 4\n', ['machine', 'cpu'], 'key')).toBe('2:3 cpu')
  })

  it.each([
    ['a secret', 'stages: { a: { password: hunter2 } }\n', ['stages', 'a', 'password']],
    ['a secret a line below its name', 'password:\n  hunter2\n', ['password']],
    ['what has a secret beside it', 'a: { token: hunter2, b: 1 }\n', ['a', 'b']],
    ['a login in a URL', 'mirror: http://user:hunter2@host/\n', ['mirror']],
  ])('is not shown where it is %s', async (_what, text, at) => {
    writeFileSync(path('site.yaml'), text)
    const { place } = originOf([await readOverrides(path('site.yaml'))], at)
    expect(place).toMatchObject({ text: '' })
    expect(renderPlace('site.yaml', place as Place)).toMatch(/^ {2}site\.yaml:\d+:\d+$/)
  })

  it('that is no YAML is shown where it ends to be', async () => {
    writeFileSync(path('site.yaml'), 'a: 1\nb: c: d\n')
    await expect(readOverrides(path('site.yaml'))).rejects.toThrow(
      /is not valid YAML: Nested mappings .*\n {2}\S*site\.yaml:2:4\n {4}b: c: d\n {7}\^+$/,
    )
  })
})

describe('a place', () => {
  it('keeps tabs before what it marks', () => {
    const place = { line: 1, column: 3, text: '\t\tone', length: 3 }
    expect(renderPlace('a', place, '')).toBe('a:1:3\n  \t\tone\n  \t\t^^^')
  })

  it('shows a part of a long line', () => {
    const text = `${'x'.repeat(500)}here${'y'.repeat(500)}`
    const [, line = '', marks = ''] = renderPlace('a', { line: 1, column: 501, text, length: 4 }).split('\n')
    expect(line.trim()).toHaveLength(100)
    expect(line.slice(marks.indexOf('^'), marks.length)).toBe('here')
  })

  it('may be the end of a text', () => {
    expect(placesOf('a: 1\n')([5, 6])).toEqual({ line: 2, column: 1, text: '', length: 1 })
  })
})

describe('a field of an object in a source text', () => {
  const find = (text: string, ...at: string[]) => {
    const span = findField(text, 0, at)
    return span && text.slice(...span)
  }

  it.each([
    ['simple', 'define({ a: 1, b: 2 })', ['b'], '2'],
    ['below another', 'define({ a: { b: 1 }, c: { b: 2 } })', ['c', 'b'], '2'],
    ['in a list', 'define({ a: [{ b: 1 }, { b: 2 }] })', ['a', '1', 'b'], '2'],
    ['with a quoted name', "define({ 'a-b': 1 })", ['a-b'], '1'],
    ['after brackets in strings', 'define({ a: "}],", b: \'{\', c: `${`}`}`, d: 4 })', ['d'], '4'],
    ['after brackets in comments', 'define({ // } a: 9\n  /* b: 8, } */ b: 2 })', ['b'], '2'],
    [
      'after calls and functions',
      'define({ a: f({ b: 1 }, [2]), c: () => { return { b: 3 } }, b: 4 })',
      ['b'],
      '4',
    ],
    ['in shorthand', 'define({ a: 1, name, b: 2 })', ['name'], 'name'],
    ['beside a spread', 'define({ ...other, a: 1 })', ['a'], '1'],
    ['before a comma at the end', 'define({\n  a: 1,\n})', ['a'], '1'],
    ['that is missing below one that is there', 'define({ a: { b: 1 } })', ['a', 'c'], '{ b: 1 }'],
    ['of a literal', '{ a: 1 }', ['a'], '1'],
  ])('%s', (_what, text, at, expected) => {
    expect(find(text, ...at)).toBe(expected)
  })

  it('can be shown by its name', () => {
    const text = "define({ 'a': { bad: 1 }, b: 2 })"
    const name = (...at: string[]) => text.slice(...(findField(text, 0, at, 'key') ?? [0, 0]))
    expect([name('a'), name('a', 'bad'), name('a', 'missing')]).toEqual(["'a'", 'bad', '{ bad: 1 }'])
  })

  it.each([
    ['a variable', 'define(value)', ['a']],
    ['what is spread', 'define({ ...other })', ['a']],
    ['nothing', 'define()', ['a']],
    ['an object that does not end', 'define({ a: 1', ['a']],
    ['the object itself', 'define({ a: 1 })', []],
  ])('is not found in %s', (_what, text, at) => {
    expect(find(text, ...at)).toBeUndefined()
  })
})

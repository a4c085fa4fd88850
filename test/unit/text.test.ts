import { describe, expect, it } from 'vitest'
import { disarm, lineOf, pathBelow, reasonIn } from '../../src/text.ts'

describe('a text for a terminal or a log', () => {
  it('stays as it is, with lines, tabs and letters of any language', () => {
    const text = '✔ größe\t漢字 🙂\n  a::b ::\n## a title\n[::1]:5000\n'
    expect(disarm(text, false)).toBe(text)
  })

  it.each([
    ['a cursor', 'a\u001b[2Jb', 'a\\u001b[2Jb'],
    ['a title of the window', '\u001b]0;x\u0007', '\\u001b]0;x\\u0007'],
    ['an 8-bit sequence', '\u009b2J', '\\u009b2J'],
    ['a line that is written over', 'good\rbad', 'good\\u000dbad'],
    ['a direction', 'a\u202eb', 'a\\u202eb'],
    ['half a character', '\ud800', '\\ud800'],
    ['a blank of Braille', 'a\u2800b', 'a\\u2800b'],
    ['a blank of Hangul', 'a\u3164b\uffa0', 'a\\u3164b\\uffa0'],
    ['a tag of another plane', '\u{e0041}', '\\udb40\\udc41'],
  ])('does not get %s', (_case, text, expected) => {
    for (const mayHaveColors of [false, true]) expect(disarm(text, mayHaveColors)).toBe(expected)
  })

  it('has colors only where there may be any, and never hides', () => {
    expect(disarm('\u001b[31mred\u001b[39m', true)).toBe('\u001b[31mred\u001b[39m')
    expect(disarm('\u001b[31mred\u001b[39m', false)).toBe('\\u001b[31mred\\u001b[39m')
    for (const hiding of ['8', '30', '37'])
      expect(disarm(`\u001b[${hiding}mhidden`, true)).toBe(`\\u001b[${hiding}mhidden`)
  })

  it.each([
    ['::warning::base', '\\u003a:warning::base'],
    ['first\n  ::add-mask::x\n', 'first\n  \\u003a:add-mask::x\n'],
    ['a ##[error]b', 'a \\u0023#[error]b'],
    ['##vso[task.setvariable variable=x]y', '\\u0023#vso[task.setvariable variable=x]y'],
    ["##teamcity[buildStop comment='x']", "\\u0023#teamcity[buildStop comment='x']"],
  ])('gives a CI system no order: %s', (text, expected) => {
    expect(disarm(text, false)).toBe(expected)
  })

  it.each(['\n', ' ', '#', '##a', ':', '\t\n'])('is read once, however often it has %j', (part) => {
    disarm(part.repeat(1 << 17), true)
  })

  it('is still JSON with the same content if it was', () => {
    const value = { a: '##[group]x', b: '\u009b', c: '\u2028', d: '\u{e0041}', e: '::x' }
    expect(JSON.parse(disarm(JSON.stringify(value, null, 2), false))).toEqual(value)
  })
})

describe('a line', () => {
  it('is one', () => {
    expect(lineOf(10).safeParse('größe').success).toBe(true)
    for (const text of ['a\nb', 'a\u001b', '\u202e', 'a\u2800b', 'a\u115fb', 'x'.repeat(11)])
      expect(lineOf(10).safeParse(text).success).toBe(false)
  })
})

describe('a path below a folder', () => {
  it.each(['a', 'a/b-c', 'images/.x', 'a..b', '...'])('may be %s', (path) => {
    expect(pathBelow.safeParse(path).success).toBe(true)
  })

  it.each(['', '/a', '-a', '..', '../a', 'a/..', 'a/../../b', './a', 'a\nb', 'a\u0000'])(
    'may not be %j',
    (path) => {
      expect(pathBelow.safeParse(path).success).toBe(false)
    },
  )
})

describe('the reason in what a program says', () => {
  it.each([
    [
      'gzip: stdin: not in gzip format\ntar: Child returned status 1\ntar: Error is not recoverable: exiting now\n',
      'gzip: stdin: not in gzip format',
    ],
    [
      'tar: a: Cannot open: File exists\ntar: Exiting with failure status due to previous errors',
      'tar: a: Cannot open: File exists',
    ],
    [
      "tar: Removing leading `/' from member names\ntar: Unexpected EOF in archive",
      'tar: Unexpected EOF in archive',
    ],
    ['tar: Error is not recoverable: exiting now', 'tar: Error is not recoverable: exiting now'],
    [' \n', ''],
  ])('is the line that says why: %j', (said, reason) => {
    expect(reasonIn(said)).toBe(reason)
  })
})

/** Finds the fields of an object literal in a source text, if they are written literally and not computed. */

import type { Span } from './yaml.ts'

const opening = new Map([
  ['{', '}'],
  ['[', ']'],
  ['(', ')'],
])

/**
 * The position of the value of the field at `path`, or of the closest field above it; undefined if no literal starts there.
 * @param start where the literal starts, or a call whose argument is the literal
 * @param part `key` for the position of the field's name, if `path` is found to its end
 */
export function findField(
  text: string,
  start: number,
  path: readonly string[],
  part: 'key' | 'value' = 'value',
): Span | undefined {
  const [before] = /^[\w$.\s]*\(?\s*(?=[{[])/.exec(text.slice(start)) ?? []
  const [name, ...rest] = path
  if (before === undefined || name === undefined) return undefined
  const found = membersOf(text, start + before.length).find((member) => member.name === name)
  if (found === undefined) return undefined
  if (rest.length === 0 && part === 'key') return found.key
  return findField(text, found.from, rest, part) ?? trimmed(text, found.from, found.to)
}

/** The first use of a name at or after a position, outside strings and comments. */
export function findName(text: string, start: number, name: string): Span | undefined {
  const word = /[\w$]+/y
  for (let at = start; at < text.length; ) {
    word.lastIndex = at
    const found = word.exec(text)?.[0] ?? ''
    if (found === name) return [at, at + name.length]
    at = found === '' ? skipText(text, at) : at + found.length
  }
  return undefined
}

interface Member {
  /** Name of a field, or the index in a list. */
  readonly name: string
  readonly key: Span
  /** Start of its value, and the comma or bracket after it. */
  readonly from: number
  readonly to: number
}

/** The members of the literal whose bracket is at `open`; none if the literal is not closed. */
function membersOf(text: string, open: number): readonly Member[] {
  const isList = text[open] === '['
  const members: Member[] = []
  let from = open + 1
  for (let at = from; at < text.length; at = skip(text, at)) {
    const isEnd = text[at] === '}' || text[at] === ']'
    if (!isEnd && text[at] !== ',') continue
    const start = skipBlank(text, from)
    if (start < at) members.push(isList ? itemAt(`${members.length}`, start, at) : fieldAt(text, start, at))
    if (isEnd) return members
    from = at + 1
  }
  return []
}

function itemAt(name: string, start: number, end: number): Member {
  return { name, key: [start, start + 1], from: start, to: end }
}

function fieldAt(text: string, start: number, end: number): Member {
  const [whole = '', written = '', quoted, plain] =
    /^(['"]([^'"\n]*)['"]|([\w$]+))\s*:/.exec(text.slice(start, end)) ?? []
  const [shorthand = ''] = /^[\w$]+$/.exec(text.slice(start, end).trim()) ?? []
  return {
    name: quoted ?? plain ?? shorthand,
    key: [start, start + (written || shorthand).length],
    from: skipBlank(text, start + whole.length),
    to: end,
  }
}

/** The position after a character, a string, a comment, or a bracketed group. */
function skip(text: string, at: number): number {
  const closing = opening.get(text[at] ?? '')
  if (closing === undefined) return skipText(text, at)
  for (let inner = at + 1; inner < text.length; inner = skip(text, inner))
    if (text[inner] === closing) return inner + 1
  return text.length
}

/** The position after a character, a string, or a comment. */
function skipText(text: string, at: number): number {
  if (/['"`]/.test(text[at] ?? '')) return endOfString(text, at)
  const comment = endOfComment(text, at)
  return comment === at ? at + 1 : comment
}

function endOfString(text: string, at: number): number {
  for (let inner = at + 1; inner < text.length; inner++) {
    if (text[inner] === '\\') inner++
    else if (text[at] === '`' && text.startsWith('${', inner)) inner = skip(text, inner + 1) - 1
    else if (text[inner] === text[at]) return inner + 1
  }
  return text.length
}

/** The position after a comment, or `at` if no comment starts there. */
function endOfComment(text: string, at: number): number {
  const mark = text.slice(at, at + 2)
  const end = mark === '//' ? text.indexOf('\n', at) : mark === '/*' ? text.indexOf('*/', at + 2) + 2 : at
  return end < at ? text.length : end
}

function skipBlank(text: string, at: number): number {
  let now = at
  for (;;) {
    const after = endOfComment(text, now)
    if (after === now && !/\s/.test(text[now] ?? '')) return now
    now = after === now ? now + 1 : after
  }
}

const trimmed = (text: string, from: number, to: number): Span => [
  from,
  from + text.slice(from, to).trimEnd().length,
]

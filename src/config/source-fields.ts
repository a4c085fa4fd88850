/** Finds the fields of an object literal in a source text, if they are written literally and not computed. */

import type { Span } from './yaml.ts'

const opening = new Map([
  ['{', '}'],
  ['[', ']'],
  ['(', ')'],
])

/**
 * The position of the field at `path`, or of the closest field above it; undefined if no literal starts there.
 * @param start where the literal starts, or a call whose argument is the literal
 */
export function findField(text: string, start: number, path: readonly string[]): Span | undefined {
  const [before] = /^[\w$.\s]*\(?\s*(?=[{[])/.exec(text.slice(start)) ?? []
  const [name, ...rest] = path
  if (before === undefined || name === undefined) return undefined
  const found = membersOf(text, start + before.length).find((member) => member.name === name)
  return found && (findField(text, found.from, rest) ?? trimmed(text, found.from, found.to))
}

interface Member {
  /** Name of a field, or the index in a list. */
  readonly name: string
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
    if (start < at)
      members.push(isList ? { name: `${members.length}`, from: start, to: at } : fieldAt(text, start, at))
    if (isEnd) return members
    from = at + 1
  }
  return []
}

function fieldAt(text: string, start: number, end: number): Member {
  const [whole = '', quoted, plain] =
    /^(?:['"]([^'"\n]*)['"]|([\w$]+))\s*:/.exec(text.slice(start, end)) ?? []
  const [shorthand = ''] = /^[\w$]+$/.exec(text.slice(start, end).trim()) ?? []
  return { name: quoted ?? plain ?? shorthand, from: skipBlank(text, start + whole.length), to: end }
}

/** The position after a character, a string, a comment, or a bracketed group. */
function skip(text: string, at: number): number {
  const character = text[at] ?? ''
  if (/['"`]/.test(character)) return endOfString(text, at)
  const comment = endOfComment(text, at)
  if (comment !== at) return comment
  const closing = opening.get(character)
  if (closing === undefined) return at + 1
  for (let inner = at + 1; inner < text.length; inner = skip(text, inner))
    if (text[inner] === closing) return inner + 1
  return text.length
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

/** One word of a shell text: its quotes are taken off, and the commands of its substitutions are read. */

/** What stands for a value that is known only when the text runs. */
export const unknown = '…'

/** A text, and how far it has been read. */
export interface Place {
  readonly text: string
  at: number
  /** What ends the part that is being read: that of a substitution, or nothing. */
  end: '' | ')' | '`'
}

/** Reads the commands of a substitution, up to its end. */
export type ReadCommands = (end: ')' | '`') => void

/** Reads from a character that begins a word. */
export function readWord(place: Place, readCommands: ReadCommands): string {
  let word = ''
  while (place.at < place.text.length) {
    const character = place.text[place.at] as string
    if (/[\s;&|<>)]/.test(character) || (character === '`' && place.end === '`')) break
    if (character === '(') {
      // An array's words, or the pattern of an extended glob.
      if (!/[=?*+@!]$/.test(word)) break
      place.at += 1
      skipList(place, readCommands)
      word += unknown
    } else if (character === "'") {
      const end = place.text.indexOf("'", place.at + 1)
      word += place.text.slice(place.at + 1, end === -1 ? undefined : end)
      place.at = end === -1 ? place.text.length : end + 1
    } else if (character === '"') word += readQuoted(place, readCommands)
    else if (character === '$' || character === '`') word += readExpansion(place, readCommands)
    else if (character === '\\') {
      word += place.text[place.at + 1] === '\n' ? '' : (place.text[place.at + 1] ?? '')
      place.at += 2
    } else {
      word += character
      place.at += 1
    }
  }
  return word
}

/** Where the line ends. */
export function lineEnd({ text, at }: Place): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end
}

/** Behind the next of these texts. */
export function skipBehind(place: Place, text: string): void {
  const end = place.text.indexOf(text, place.at)
  place.at = end === -1 ? place.text.length : end + text.length
}

// --- internal ---

function readQuoted(place: Place, readCommands: ReadCommands): string {
  let word = ''
  place.at += 1
  while (place.at < place.text.length && place.text[place.at] !== '"') {
    const character = place.text[place.at] as string
    if (character === '`' && place.end === '`') return word
    if (character === '$' || character === '`') word += readExpansion(place, readCommands)
    else if (/^\\[$`"\\\n]/.test(place.text.slice(place.at, place.at + 2))) {
      word += place.text[place.at + 1] === '\n' ? '' : place.text[place.at + 1]
      place.at += 2
    } else {
      word += character
      place.at += 1
    }
  }
  place.at += 1
  return word
}

function readExpansion(place: Place, readCommands: ReadCommands): string {
  const rest = place.text.slice(place.at)
  if (rest.startsWith('`')) {
    place.at += 1
    readCommands('`')
  } else if (rest.startsWith('$((')) skipBehind(place, '))')
  else if (rest.startsWith('$(')) {
    place.at += 2
    readCommands(')')
  } else if (rest.startsWith('${')) skipBraces(place)
  else {
    const name = /^\$(\w+|[@*#?$!-]|(?=["']))/.exec(rest)?.[0]
    place.at += name?.length ?? 1
    if (name === undefined) return '$'
  }
  return unknown
}

function skipBraces(place: Place): void {
  let depth = 0
  do {
    place.at += 1
    if (place.text[place.at] === '{') depth += 1
    if (place.text[place.at] === '}') depth -= 1
  } while (depth > 0 && place.at < place.text.length)
  place.at += 1
}

/** Up to the `)` of an array, whose substitutions are read. */
function skipList(place: Place, readCommands: ReadCommands): void {
  while (place.at < place.text.length && place.text[place.at] !== ')') {
    const before = place.at
    if (place.text[place.at] === '#') place.at = lineEnd(place)
    else readWord(place, readCommands)
    if (place.at === before) place.at += 1
  }
  place.at += 1
}

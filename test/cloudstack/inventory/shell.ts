/** The simple commands of a shell text, read mechanically: enough of the grammar to know which words are run. */

import { lineEnd, type Place, readWord, skipBehind } from './shell-words.ts'

export { unknown } from './shell-words.ts'

export interface ShellCommand {
  /** The program and its words; what is substituted is `…`. */
  readonly words: readonly string[]
  /** Files that its output goes to. */
  readonly writes: readonly string[]
}

export interface ShellText {
  readonly commands: readonly ShellCommand[]
  /** Functions that the text defines. */
  readonly functions: ReadonlySet<string>
  /** What it gives to variables. */
  readonly values: readonly string[]
}

/** Reads a whole text, with what is in its substitutions. */
export function readShell(text: string): ShellText {
  const commands: ShellCommand[] = []
  const functions = new Set<string>()
  const values: string[] = []
  const place: Place = { text, at: 0, end: '' }
  const documents: { readonly end: string; readonly isIndented: boolean }[] = []
  /** For each open `case`: whether a pattern comes next. */
  const cases: boolean[] = []
  let words: string[] = []
  let writes: string[] = []

  const rest = (length?: number) => text.slice(place.at, length === undefined ? undefined : place.at + length)
  const skip = (pattern: RegExp) => {
    place.at += pattern.exec(rest())?.[0].length ?? 0
  }
  /** The command cannot go on here: what comes next begins another. */
  const over = () => {
    words = [nothing]
  }

  function readUntil(end: Place['end']): void {
    const outer = { words, writes, end: place.end, depth: cases.length }
    words = []
    writes = []
    place.end = end
    while (place.at < text.length) {
      if (cases.length > outer.depth && cases.at(-1) === true) skipPattern()
      else if (text[place.at] === end) {
        place.at += 1
        break
      } else readToken(text[place.at] as string)
    }
    endCommand()
    words = outer.words
    writes = outer.writes
    place.end = outer.end
  }

  function readToken(character: string): void {
    if (character === '\n') {
      endCommand()
      place.at += 1
      skipDocuments()
    } else if (/[ \t\r]/.test(character)) place.at += 1
    else if (character === '#') place.at = lineEnd(place)
    else if (rest(2) === '\\\n') place.at += 2
    else if (rest(2) === '((' && (words[0] ?? nothing) === nothing) {
      skipBehind(place, '))')
      over()
    } else if (rest(2) === ';;') {
      endCommand()
      place.at += 2
      if (cases.length > 0) cases[cases.length - 1] = true
    } else if (redirection.test(rest(4))) readRedirection()
    else if (character === '(' && words.length === 1 && /^\(\s*\)/.test(rest(20))) {
      // A function is defined where () follows its name.
      functions.add(words[0] as string)
      words = []
      skipBehind(place, ')')
    } else if (/[;&|()]/.test(character)) {
      endCommand()
      place.at += 1
    } else takeWord(readWord(place, readUntil))
  }

  function takeWord(word: string): void {
    if (words.length > 0) words.push(word)
    else if (beforeCommands.has(word)) return
    else if (afterCommands.has(word)) {
      if (word === 'esac') cases.pop()
      over()
    } else if (word === 'function') {
      functions.add(/^\s*([\w-]+)/.exec(rest())?.[1] ?? '')
      skip(/^\s*[\w-]+\s*(\(\s*\))?/)
    } else if (/^\w+(\[.*\])?\+?=/.test(word)) values.push(word.slice(word.indexOf('=') + 1))
    // The words of a loop are no commands; what is substituted in them is.
    else if (word === 'for' || word === 'select') over()
    else if (word === 'case') {
      while (place.at < text.length && !/^\s*in\b/.test(rest())) {
        if (/\s/.test(rest(1))) place.at += 1
        else readWord(place, readUntil)
      }
      skip(/^\s*in/)
      cases.push(true)
    } else words.push(word)
  }

  /** What is before the `)` of one choice of a `case`. */
  function skipPattern(): void {
    skip(/^(\s|#[^\n]*\n)*/)
    if (/^esac\b/.test(rest(5))) {
      place.at += 4
      cases.pop()
      over()
      return
    }
    skipBehind(place, ')')
    cases[cases.length - 1] = false
  }

  function readRedirection(): void {
    const operator = redirection.exec(rest(4))?.[0] ?? ''
    place.at += operator.length
    if (operator.endsWith('(')) {
      readUntil(')')
      return
    }
    skip(/^[ \t]*/)
    const target = readWord(place, readUntil)
    if (/^\d*<<-?$/.test(operator)) documents.push({ end: target, isIndented: operator.endsWith('-') })
    else if (operator.includes('>') && !operator.endsWith('&')) writes.push(target)
    else if (operator === '<') words.push(target)
  }

  function skipDocuments(): void {
    for (const { end, isIndented } of documents.splice(0)) {
      while (place.at < text.length) {
        const line = text.slice(place.at, lineEnd(place))
        place.at = Math.min(lineEnd(place) + 1, text.length)
        if ((isIndented ? line.trimStart() : line) === end) break
      }
    }
  }

  function endCommand(): void {
    const isCommand = words.length > 0 && words[0] !== nothing
    if (isCommand || writes.length > 0) commands.push({ words: isCommand ? words : [nothing], writes })
    words = []
    writes = []
  }

  readUntil('')
  return { commands, functions, values }
}

// --- internal ---

/** Stands first among words that no program is run by. */
const nothing = ':'
const redirection = /^\d*(<<-?(?!<)|<<<|[<>]\(|&>>?|>[>|&]?|<[&>]?)/
const beforeCommands = new Set(['if', 'then', 'elif', 'else', 'while', 'until', 'do', '!', '{', 'time'])
const afterCommands = new Set(['fi', 'done', 'esac', '}'])

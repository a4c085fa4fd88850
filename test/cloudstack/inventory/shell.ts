/** The simple commands of a shell text, read mechanically: enough of the grammar to know which words are run. */

/** What stands for a value that is known only when the text runs. */
export const unknown = '…'

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
  const reader = new Reader(text)
  reader.readUntil('')
  return { commands: reader.commands, functions: reader.functions, values: reader.values }
}

// --- internal ---

const beforeCommands = new Set(['if', 'then', 'elif', 'else', 'while', 'until', 'do', '!', '{', 'time'])
const afterCommands = new Set(['fi', 'done', 'esac', '}'])

/** Owns its place in the text. */
class Reader {
  readonly commands: ShellCommand[] = []
  readonly functions = new Set<string>()
  readonly values: string[] = []
  private readonly text: string
  private at = 0
  private words: string[] = []
  private writes: string[] = []
  private pendingDocuments: { readonly end: string; readonly isIndented: boolean }[] = []
  /** For each open `case`: whether a pattern comes next. */
  private readonly cases: boolean[] = []
  /** What ends the text that is being read: a substitution's end, or nothing. */
  private end = ''

  constructor(text: string) {
    this.text = text
  }

  /** Reads commands up to an unquoted `end`, and leaves its place behind it. */
  readUntil(end: '' | ')' | '`'): void {
    const outer = { words: this.words, writes: this.writes, end: this.end, depth: this.cases.length }
    this.end = end
    this.words = []
    this.writes = []
    while (this.at < this.text.length) {
      const character = this.text[this.at] as string
      if (this.cases.length > outer.depth && this.cases.at(-1) === true) this.readPattern()
      else if (character === end) {
        this.at += 1
        break
      } else this.readToken(character)
    }
    this.endCommand()
    this.words = outer.words
    this.writes = outer.writes
    this.end = outer.end
  }

  private readToken(character: string): void {
    if (character === '\n') {
      this.endCommand()
      this.at += 1
      this.skipDocuments()
    } else if (/[ \t\r]/.test(character)) this.at += 1
    else if (character === '#') this.at = this.lineEnd()
    else if (this.text.startsWith('\\\n', this.at)) this.at += 2
    else if (this.text.startsWith('((', this.at) && (this.words[0] ?? ':') === ':') this.skipArithmetic()
    else if (this.text.startsWith(';;', this.at)) {
      this.endCommand()
      this.at += 2
      if (this.cases.length > 0) this.cases[this.cases.length - 1] = true
    } else if (/^\d*(<<-?(?!<)|<<<|[<>]\(|&>>?|>[>|&]?|<[&>]?)/.test(this.text.slice(this.at, this.at + 4))) {
      this.readRedirection()
    } else if (/[;&|()]/.test(character)) {
      // A function is defined where () follows its name.
      const [name] = this.words
      if (character === '(' && this.words.length === 1 && /^\(\s*\)/.test(this.text.slice(this.at))) {
        this.functions.add(name as string)
        this.words = []
        this.at = this.text.indexOf(')', this.at) + 1
        return
      }
      this.endCommand()
      this.at += 1
    } else this.takeWord(this.readWord())
  }

  private takeWord(word: string): void {
    const isFirst = this.words.length === 0
    if (isFirst && beforeCommands.has(word)) return
    if (isFirst && afterCommands.has(word)) {
      if (word === 'esac') this.cases.pop()
      this.words.push(':')
      return
    }
    if (isFirst && word === 'function') {
      this.functions.add(/\s*([\w-]+)/.exec(this.text.slice(this.at))?.[1] ?? '')
      this.at += /^\s*[\w-]+\s*(\(\s*\))?/.exec(this.text.slice(this.at))?.[0].length ?? 0
      return
    }
    if (isFirst && /^\w+(\[.*\])?\+?=/.test(word)) {
      this.values.push(word.slice(word.indexOf('=') + 1))
      return
    }
    if (isFirst && (word === 'for' || word === 'select')) {
      // The words of a loop are no commands; what is substituted in them is.
      this.words.push(':')
      return
    }
    if (isFirst && word === 'case') {
      while (!/^\s*in\b/.test(this.text.slice(this.at)) && this.at < this.text.length) {
        if (/\s/.test(this.text[this.at] as string)) this.at += 1
        else this.readWord()
      }
      this.at += /^\s*in/.exec(this.text.slice(this.at))?.[0].length ?? 0
      this.cases.push(true)
      return
    }
    this.words.push(word)
  }

  /** What is before the `)` of one choice of a `case`. */
  private readPattern(): void {
    const rest = this.text.slice(this.at)
    const skipped = /^(\s|#[^\n]*\n)*/.exec(rest)?.[0].length ?? 0
    this.at += skipped
    if (/^esac\b/.test(this.text.slice(this.at))) {
      this.at += 4
      this.cases.pop()
      this.words.push(':')
      return
    }
    const end = this.text.indexOf(')', this.at)
    this.at = end === -1 ? this.text.length : end + 1
    this.cases[this.cases.length - 1] = false
  }

  /** One word with its quotes taken off. */
  private readWord(): string {
    let word = ''
    while (this.at < this.text.length) {
      const character = this.text[this.at] as string
      if (/[\s;&|<>)]/.test(character) || (character === '`' && this.end === '`')) break
      if (character === '(') {
        // An array's words, or the pattern of an extended glob.
        if (!/[=?*+@!]$/.test(word)) break
        this.at += 1
        this.skipList()
        word += unknown
      } else if (character === '`') {
        this.at += 1
        this.readUntil('`')
        word += unknown
      } else if (character === "'") {
        const end = this.text.indexOf("'", this.at + 1)
        word += this.text.slice(this.at + 1, end === -1 ? undefined : end)
        this.at = end === -1 ? this.text.length : end + 1
      } else if (character === '"') word += this.readQuoted()
      else if (character === '$') word += this.readExpansion()
      else if (character === '\\') {
        word += this.text[this.at + 1] === '\n' ? '' : (this.text[this.at + 1] ?? '')
        this.at += 2
      } else {
        word += character
        this.at += 1
      }
    }
    return word
  }

  private readQuoted(): string {
    let word = ''
    this.at += 1
    while (this.at < this.text.length && this.text[this.at] !== '"') {
      const character = this.text[this.at] as string
      if (character === '`' && this.end === '`') return word
      if (character === '$') word += this.readExpansion()
      else if (character === '`') {
        this.at += 1
        this.readUntil('`')
        word += unknown
      } else if (/^\\[$`"\\\n]/.test(this.text.slice(this.at, this.at + 2))) {
        word += this.text[this.at + 1] === '\n' ? '' : this.text[this.at + 1]
        this.at += 2
      } else {
        word += character
        this.at += 1
      }
    }
    this.at += 1
    return word
  }

  private readExpansion(): string {
    const rest = this.text.slice(this.at)
    if (rest.startsWith('$((')) {
      const end = this.text.indexOf('))', this.at)
      this.at = end === -1 ? this.text.length : end + 2
    } else if (rest.startsWith('$(')) {
      this.at += 2
      this.readUntil(')')
    } else if (rest.startsWith('${')) {
      let depth = 0
      do {
        if (this.text[this.at] === '{') depth += 1
        if (this.text[this.at] === '}') depth -= 1
        this.at += 1
      } while (depth > 0 || this.text[this.at - 1] === '$')
    } else {
      const name = /^\$(\w+|[@*#?$!-]|(?=["']))/.exec(rest)?.[0]
      this.at += name?.length ?? 1
      if (name === undefined) return '$'
    }
    return unknown
  }

  private readRedirection(): void {
    const operator =
      /^\d*(<<-?(?!<)|<<<|[<>]\(|&>>?|>[>|&]?|<[&>]?)/.exec(this.text.slice(this.at))?.[0] ?? '>'
    this.at += operator.length
    if (operator.endsWith('(')) {
      this.readUntil(')')
      return
    }
    while (/[ \t]/.test(this.text[this.at] ?? '')) this.at += 1
    const target = this.readWord()
    if (/^\d*<<-?$/.test(operator))
      this.pendingDocuments.push({ end: target, isIndented: operator.endsWith('-') })
    else if (operator.includes('>') && !operator.endsWith('&')) this.writes.push(target)
    else if (operator === '<') this.words.push(target)
  }

  private skipDocuments(): void {
    for (const { end, isIndented } of this.pendingDocuments.splice(0)) {
      while (this.at < this.text.length) {
        const line = this.text.slice(this.at, this.lineEnd())
        this.at = Math.min(this.lineEnd() + 1, this.text.length)
        if ((isIndented ? line.trimStart() : line) === end) break
      }
    }
  }

  private skipArithmetic(): void {
    const end = this.text.indexOf('))', this.at)
    this.at = end === -1 ? this.text.length : end + 2
    this.words.push(':')
  }

  /** Up to the `)` of an array, whose substitutions are read. */
  private skipList(): void {
    while (this.at < this.text.length && this.text[this.at] !== ')') {
      if (/\s/.test(this.text[this.at] as string)) this.at += 1
      else if (this.text[this.at] === '#') this.at = this.lineEnd()
      else {
        const before = this.at
        this.readWord()
        if (this.at === before) this.at += 1
      }
    }
    this.at += 1
  }

  private lineEnd(): number {
    const end = this.text.indexOf('\n', this.at)
    return end === -1 ? this.text.length : end
  }

  private endCommand(): void {
    const words = this.words.filter((word, index) => index > 0 || word !== ':')
    if (words.length > 0 && this.words[0] !== ':') this.commands.push({ words, writes: this.writes })
    else if (this.writes.length > 0) this.commands.push({ words: [':'], writes: this.writes })
    this.words = []
    this.writes = []
  }
}

/**
 * Removes credentials from texts before they leave this program: to a terminal, a report, a record. If a login could end in
 * two places, the later one counts: better to hide part of a host than to show half a password.
 */

const mark = '…'

// Texts are untrusted, and can be long. Each pattern continues where the last one ended, or reads a few hundred characters.

/** A slash, including the escaped form in JSON, and the backslash that URL parsers treat as one. */
const slash = String.raw`(?:\\?\/|\\\\)`
/** Parsers know web schemes by name, and need no slash after them. */
const webScheme = '(?:https?|ftps?|wss?):'
/** An escape, or any character of a URL that somebody typed. A quote before a comma or at an end is not part of it. */
const character = (besides: string) => String.raw`(?:\\[^/\s]|[^\s"\\${besides}]|"(?![\s,:}\])]|$))`

const beforeAuthority = new RegExp(`\\b${webScheme}${slash}*|:${slash}+|${slash}{2,}`, 'gi')
const authorityHere = new RegExp(`${character('/?#')}*`, 'y')
const wordHere = new RegExp(`(?:\\\\/|${character('')})*`, 'y')
const valueHere = new RegExp(`${character('&#')}*`, 'y')
/** As far as a password with spaces can reach. */
const lineHere = /(?:\\[^n]|[^"\\\n]|"(?![\s,:}\])]|$)){0,400}@/y
const hostInBrackets = /^\[[^\]@]*\](?::\d*)?$/

/** A URL in a parameter of another. */
const encodedLogin = /(%3a(?:%2f|\/)+)(?:(?!%2f|%3f|%23)[^\s"&\\/?#]){0,400}%40/gi

/** Everything up to the value of a parameter. The parameter may belong to a URL that is itself a parameter. */
const parameter = /(?:[?&;#]|%(?:3f|26|23))([^\s"\\=&;#?]{1,200}?)(?:=|%3d)/gi

/** Names of values that let in anyone who has them. */
const secretPart = /token|secret|passw|passphrase|credential|key$/
const secretWords = new Set('auth authorization jwt key pass passwd pat pin pw pwd sas'.split(' '))
/** Only in URLs, e.g. the signature of a presigned one: a setting with that name chooses an algorithm. */
const secretParameters = new Set('code session sid sig signature ticket'.split(' '))

/** A text without the logins and tokens in its URLs. */
export function redact(text: string): string {
  return redactParameters(redactLogins(text), valueHere)
}

/** A text that is one URL, or was meant to be: spaces and quotes are part of it, and its scheme may be missing. */
export function redactUrl(text: string): string {
  const [opening = ''] =
    new RegExp(`^\\s*(?:${webScheme}[\\\\/]*|[a-z][a-z0-9+.-]*:[\\\\/]+)?`, 'i').exec(text) ?? []
  const rest = text.slice(opening.length)
  const at = endOfLogin(/^[^/?#\\]*/.exec(rest)?.[0] ?? '', rest.lastIndexOf('@'))
  const plain = at === -1 ? text : `${opening}${mark}${rest.slice(at)}`
  return redactParameters(redactLogins(plain), /[^&#]*/y)
}

/** Whether a URL has a user or a password, either of which may be empty. */
export function hasLogin({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}

/** A value with every text in it redacted, ready to be written as JSON. */
export function redactAll<Value>(value: Value): Value {
  if (typeof value === 'string') return redact(value) as Value
  if (Array.isArray(value)) return value.map(redactAll) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redactAll(inner)])) as Value
}

/** Words of a command line. Also removes the values of `--set`, which may be secret; their names are not. */
export function redactCommand(words: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    const isAssignment = words[index - 1] === '--set' || word.startsWith('--set=')
    if (isAssignment) return word.replace(/^((?:--set=)?[\w.-]+=)[\s\S]*$/, `$1${mark}`)
    const [, option = '', value = word] = /^(--[a-z-]+=)(.*)$/s.exec(word) ?? []
    return isUrl(value) ? `${option}${redactUrl(value)}` : redact(word)
  })
}

/** Whether an entire text is a URL, or was meant to be. */
export function isUrl(text: string): boolean {
  return new RegExp(`^(?:${webScheme}|[a-z][a-z0-9+.-]*://)`, 'i').test(text)
}

/** Whether the name of a setting or variable means that its value is secret. */
export function isSecretName(name: string): boolean {
  const words = wordsOf(name)
  return words.some((word) => secretWords.has(word)) || secretPart.test(words.join(''))
}

/** Whether a stage's variable is secret, or contains a login. A single character hides nothing, and is not a password. */
export function isSecretVariable(name: string, value: string): boolean {
  return value.length > 1 && (isSecretName(name) || redact(value) !== value)
}

/** A text without these secrets. */
export function conceal(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, mark), text)
}

// --- internal ---

function isSecretParameter(written: string): boolean {
  let name = written
  // A URL within a URL is encoded twice.
  for (let round = 0; round < 3; round += 1)
    name = new URLSearchParams(`${name}=`).keys().next().value ?? name
  return isSecretName(name) || wordsOf(name).some((word) => secretParameters.has(word))
}

function wordsOf(name: string): readonly string[] {
  return name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
}

function redactLogins(text: string): string {
  let shown = ''
  let done = 0
  let word = { end: 0, lastAt: -1 }
  beforeAuthority.lastIndex = 0
  for (;;) {
    const found = beforeAuthority.exec(text)
    if (found === null) break
    const from = beforeAuthority.lastIndex
    const authority = matchAt(authorityHere, text, from)
    if (from >= word.end) {
      const rest = matchAt(wordHere, text, from)
      word = { end: from + rest.length, lastAt: from + rest.lastIndexOf('@') }
    }
    const at = /^:\\?\/$/.test(found[0])
      ? endAfterPath(authority)
      : endInText(text, from, authority, word.lastAt - from)
    beforeAuthority.lastIndex = from + (at === -1 ? authority.length : at)
    if (at === -1) continue
    shown += text.slice(done, from) + mark
    done = from + at
  }
  return (shown + text.slice(done)).replace(encodedLogin, `$1${mark}%40`)
}

/** Where a login that starts here ends, at an `@`; -1 if there is none. After a single slash, there may be a path. */
function endAfterPath(authority: string): number {
  return mayHavePassword(authority) ? authority.lastIndexOf('@') : -1
}

/** @param lastAt where the last `@` of the word is, if not negative */
function endInText(text: string, from: number, authority: string, lastAt: number): number {
  const end = endOfLogin(authority, lastAt)
  if (end >= 0 || !mayHavePassword(authority) || /^[^:]*:\d*\W*$/.test(authority)) return end
  return matchAt(lineHere, text, from).length - 1
}

/** After a colon comes a port or a password, and a malformed password may contain anything that ends a host. */
function endOfLogin(authority: string, lastAt: number): number {
  return mayHavePassword(authority) ? Math.max(lastAt, -1) : authority.lastIndexOf('@')
}

function mayHavePassword(authority: string): boolean {
  return /^[^@]*:/.test(authority) && !hostInBrackets.test(authority)
}

function redactParameters(text: string, value: RegExp): string {
  let shown = ''
  let done = 0
  for (const { 0: found, 1: name = '', index } of text.matchAll(parameter)) {
    if (index < done || !isSecretParameter(name)) continue
    const from = index + found.length
    const { length } = matchAt(value, text, from)
    shown += text.slice(done, from) + (length === 0 ? '' : mark)
    done = from + length
  }
  return shown + text.slice(done)
}

/** @param pattern a sticky one */
function matchAt(pattern: RegExp, text: string, index: number): string {
  pattern.lastIndex = index
  return pattern.exec(text)?.[0] ?? ''
}

/** Takes credentials out of texts before they leave this program: to a terminal, a report, a record. */

const mark = '…'

// Texts come from outside, and may be long: no pattern here looks at more than a few hundred characters from where it begins.

/** Up to the last `@` before the path. An escaped quote is part of a password; a plain one ends the URL. */
const login = /(:\/\/)(?:\\.|[^\s"\\/?#])*@/g

/**
 * A password with a `/`, `?` or `#`, which only a broken URL has: its beginning stands where a port would, and is no number.
 * A host in brackets has colons of its own.
 */
const brokenLogin =
  /(:\/\/)(?!\[)(?:\\.|[^\s"\\/?#:@]){0,400}:(?!\d{0,9}(?:[/?#\s"]|$))(?:\\.|[^\s"\\]){0,400}@/g

/** Parameters that let in anyone who has the URL, as presigned ones do. */
const secretParameter =
  /([?&;#][\w.~%-]{0,99}(?:token|secret|passw|pwd|signature|sig|credential|jwt|api_?key|access_?key)[\w.~%-]{0,99}=)[^&#\s"\\]+/gi

/** Names of settings whose values are never shown. */
const secretName = /passw|passphrase|secret|token|credential|private_?key/i

/** A text without the logins and the tokens of the URLs in it. */
export function redact(text: string): string {
  return text
    .replace(login, `$1${mark}@`)
    .replace(brokenLogin, `$1${mark}@`)
    .replace(secretParameter, `$1${mark}`)
}

/** A text that is one URL, or was meant to be: spaces and quotes are part of it, and its scheme may be missing. */
export function redactUrl(text: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(text) ?? []
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? ''
  if (/^(\[[^\]@]*\]|[^:@]*)(:\d*)?$/.test(authority)) return redact(text)
  const at = authority.includes('@') ? authority.lastIndexOf('@') : rest.lastIndexOf('@')
  return redact(at === -1 ? text : `${scheme}${mark}${rest.slice(at)}`)
}

/** A value with every text in it redacted, ready to be written as JSON. */
export function redactAll<Value>(value: Value): Value {
  if (typeof value === 'string') return redact(value) as Value
  if (Array.isArray(value)) return value.map(redactAll) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redactAll(inner)])) as Value
}

/** Words of a command line, also without the values of `--set`: they may be secret, their names are not. */
export function redactCommand(words: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    const isAssignment = words[index - 1] === '--set' || word.startsWith('--set=')
    if (isAssignment) return word.replace(/^((?:--set=)?[\w.-]+=)[\s\S]*$/, `$1${mark}`)
    return isUrl(word) ? redactUrl(word) : redact(word)
  })
}

/** Whether a text as a whole is a URL, or was meant to be. */
export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
}

/** Whether a value is secret by its name. */
export function isSecretName(name: string): boolean {
  return secretName.test(name)
}

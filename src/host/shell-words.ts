/** Words of shell commands. */

/** A text as one word of any POSIX shell; only a zero byte is not allowed. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** What a shell is to run: one word is a line of its own language, of more each reaches the command as it is. */
export function commandLine(words: readonly string[]): string {
  const [first] = words
  return words.length === 1 && first !== undefined ? first : words.map(quote).join(' ')
}

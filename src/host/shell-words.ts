/** Words of shell commands. */

/** A text as one word of any POSIX shell; only a null byte is not allowed. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** A command for a shell: a single word is a line of shell code; several words reach the command as they are. */
export function commandLine(words: readonly string[]): string {
  const [first] = words
  return words.length === 1 && first !== undefined ? first : words.map(quote).join(' ')
}

/** Words of shell commands. */

/** A text as one word of any POSIX shell, whatever is in it but a zero byte. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

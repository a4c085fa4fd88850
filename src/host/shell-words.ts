/** Words of shell commands. */

/** A text as one word of any POSIX shell; only a zero byte is not allowed. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

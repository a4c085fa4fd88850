/** Names of files: bytes on a disk, texts here, without a loss between them. */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What a byte that is no UTF-8 becomes, as in Python: a code unit that no text has. */
const loneUnits = 0xdc00

/** A name as text. One that is no UTF-8 has U+DC80 to U+DCFF for each byte above 127, so that no two names look alike. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 128 ? byte : loneUnits + byte)).join('')
  }
}

/** A name as one line for people: what is no visible character, and bytes that are no UTF-8, as escapes. */
export function showName(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    const isByte = code >= loneUnits + 0x80 && code <= loneUnits + 0xff
    if (isByte || code < 0x100) return `\\x${(code & 0xff).toString(16).padStart(2, '0')}`
    return `\\u{${code.toString(16)}}`
  })
}

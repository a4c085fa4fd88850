/** File names: bytes on a disk, strings here, converted losslessly. */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Base for bytes that are not UTF-8, as in Python: lone surrogates, which occur in no valid text. */
const loneUnits = 0xdc00

/**
 * Decodes a name. If it is not UTF-8, each byte above 127 becomes U+DC80 to U+DCFF, so that different names stay different.
 */
export function decodeName(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 128 ? byte : loneUnits + byte)).join('')
  }
}

/** The bytes of a name that `decodeName` made. */
export function encodeName(name: string): Buffer {
  const parts = name.split(/([\u{dc80}-\u{dcff}]+)/u)
  return Buffer.concat(
    parts.map((part, index) =>
      index % 2 === 0
        ? Buffer.from(part)
        : Buffer.from(Array.from(part, (unit) => unit.charCodeAt(0) - loneUnits)),
    ),
  )
}

/** Shows a name to people on one line, with escapes for invisible characters and for bytes that are not UTF-8. */
export function showName(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    const isByte = code >= loneUnits + 0x80 && code <= loneUnits + 0xff
    if (isByte || code < 0x100) return `\\x${(code & 0xff).toString(16).padStart(2, '0')}`
    return `\\u{${code.toString(16)}}`
  })
}

/** OpenPGP files as packets (RFC 9580), read without decompressing anything. */

/** The binary content of a file. An armored file may contain several blocks, with text between them. */
export function dearmor(file: Buffer, kind: 'PUBLIC KEY BLOCK' | 'SIGNATURE'): Buffer {
  const block = new RegExp(`-----BEGIN PGP ${kind}-----\\r?\\n(.*?)-----END PGP ${kind}-----`, 'gs')
  const blocks = [...file.toString('latin1').matchAll(block)].map(([, inner = '']) => inner)
  if (blocks.length === 0) return file
  return Buffer.concat(blocks.map((inner) => Buffer.from(base64Of(inner), 'base64')))
}

/**
 * Whether a binary file contains only signatures. Any other packet may contain compressed packets, which gpgv would
 * decompress without a limit.
 */
export function isOnlySignatures(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; ) {
    const packet = readHeader(bytes, at)
    if (packet === undefined || packet.tag !== signatureTag || packet.end > bytes.length) return false
    at = packet.end
  }
  return bytes.length > 0
}

// --- internal ---

const signatureTag = 2

/**
 * The body of an armored block: without the headers above the empty line, and without the checksum, `=` and four characters.
 */
function base64Of(block: string): string {
  const lines = block.split(/\r?\n/)
  return lines
    .slice(lines.indexOf('') + 1)
    .filter((line) => !/^=.{4}$/.test(line))
    .join('')
}

interface Packet {
  readonly tag: number
  /** Where the next packet begins. */
  readonly end: number
}

/**
 * Undefined for anything that is not a packet, and for one whose header does not give its length: no signature is like that.
 */
function readHeader(bytes: Buffer, at: number): Packet | undefined {
  const [first = 0, second = 0, third = 0] = bytes.subarray(at, at + 3)
  if ((first & 0x80) === 0) return undefined
  const number = (from: number, size: number) =>
    from + size <= bytes.length ? bytes.readUIntBE(from, size) : Number.POSITIVE_INFINITY
  if ((first & 0x40) === 0) {
    const size = [1, 2, 4][first & 3]
    if (size === undefined) return undefined
    return { tag: (first >> 2) & 15, end: at + 1 + size + number(at + 1, size) }
  }
  const tag = first & 63
  if (second < 192) return { tag, end: at + 2 + second }
  if (second < 224) return { tag, end: at + 3 + ((second - 192) << 8) + third + 192 }
  return second === 255 ? { tag, end: at + 6 + number(at + 2, 4) } : undefined
}

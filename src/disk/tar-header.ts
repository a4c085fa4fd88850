/** Headers of tar archives. Format: POSIX `pax`, "ustar Interchange Format", and tar(5). */

export const tarBlockBytes = 512

export interface TarHeader {
  readonly name: string
  /** The file that a hard link names. */
  readonly target: string
  /** Size of the content after the header. */
  readonly sizeBytes: number
  readonly kind: TarKind
}

/**
 * `pax`, `long-name`, and `long-target` describe the next entry, `global` all that follow; the content of `other` is irrelevant.
 */
export type TarKind = 'file' | 'hard-link' | 'other' | 'pax' | 'global' | 'long-name' | 'long-target'

/**
 * Parses a header block. Undefined for a block of zeros, which ends an archive.
 * @param offset its position, for errors
 * @throws Error that says what is wrong
 */
export function readTarHeader(block: Buffer, offset: number): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined
  const text = (start: number, length: number) =>
    block.toString('utf8', start, start + length).replace(/\0.*$/s, '')
  const magic = block.toString('latin1', 257, 263)
  const isSound = magic.startsWith('ustar') && readOctal(block.subarray(148, 156)) === checksumOf(block)
  if (!isSound) throw new Error(`there is no header at byte ${offset}`)
  // In GNU archives, the POSIX prefix field holds times.
  const prefix = magic === 'ustar\0' ? text(345, 155) : ''
  const name = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`
  const kind = kindOf(block.toString('latin1', 156, 157), name)
  const sizeBytes = readSize(block.subarray(124, 136), name)
  return { name, target: text(157, 100), kind: kind.kind, sizeBytes: kind.hasContent ? sizeBytes : 0 }
}

// --- internal ---

function kindOf(flag: string, name: string): { readonly kind: TarKind; readonly hasContent: boolean } {
  if (flag === '0' || flag === '\0' || flag === '7') return { kind: 'file', hasContent: true }
  if (flag === 'x') return { kind: 'pax', hasContent: true }
  if (flag === 'L') return { kind: 'long-name', hasContent: true }
  if (flag === 'K') return { kind: 'long-target', hasContent: true }
  if (flag === 'g') return { kind: 'global', hasContent: true }
  if (flag === '1') return { kind: 'hard-link', hasContent: false }
  if (/^[2-6]$/.test(flag)) return { kind: 'other', hasContent: false }
  if (flag === 'S') throw new Error(`${name} is a sparse file, which cannot be read in place`)
  throw new Error(`${name} is of the kind ${JSON.stringify(flag)}, which no image has`)
}

/** Octal digits, or, for larger numbers, a binary number marked by its first byte. */
function readSize(field: Buffer, name: string): number {
  const size = field[0] === 0x80 ? readBinary(field.subarray(1)) : readOctal(field)
  if (!Number.isSafeInteger(size)) throw new Error(`${name} has no size that can be read`)
  return size
}

function readBinary(bytes: Buffer): number {
  return bytes.reduce((total, byte) => total * 256 + byte, 0)
}

/** NaN for anything else. */
function readOctal(field: Buffer): number {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(field.toString('latin1'))?.[1]
  return digits === undefined ? Number.NaN : Number.parseInt(digits, 8)
}

/** The sum of all bytes, with the checksum field counted as spaces. */
function checksumOf(block: Buffer): number {
  const others = block.reduce((total, byte, index) => (index >= 148 && index < 156 ? total : total + byte), 0)
  return others + 8 * 0x20
}

/** Reads the size of an archive's content from the archive, to check for disk space before it is unpacked. */

import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { openToRead } from '../host/regular-file.ts'
import { xzLimit } from '../host/unpacking.ts'

/** Finds the size of an archive's content. bzip2 does not store it. */
export type SizeReader = (file: string, signal: AbortSignal) => Promise<number | undefined>

/** From the last four bytes, modulo 2^32, so it is at most the real size. Format: RFC 1952. */
export const sizeInGzip: SizeReader = async (file) => {
  const bytes = await readPart(file, 4, (size) => size - 4)
  return bytes.length === 4 ? bytes.readUInt32LE() : undefined
}

/** From the index at the end, in column 5 of the totals: xz(1), robot mode. */
export const sizeInXz: SizeReader = async (file, signal) => {
  const totals = /^totals\t(?:[^\t]*\t){3}(\d+)/m.exec(
    await ask(['xz', '--robot', '--list', xzLimit, '--', file], signal),
  )
  return totals?.[1] === undefined ? undefined : Number(totals[1])
}

/** From the header of the first frame, where it is optional. Format: RFC 8878, section 3.1.1.1. */
export const sizeInZstd: SizeReader = async (file) => {
  const bytes = await readPart(file, 18, () => 0)
  const descriptor = bytes[4] ?? 0
  const [sizeFlag, isSingleSegment, dictionaryFlag] = [descriptor >> 6, (descriptor >> 5) & 1, descriptor & 3]
  const at = 5 + (isSingleSegment === 1 ? 0 : 1) + ([0, 1, 2, 4][dictionaryFlag] ?? 0)
  if (sizeFlag === 0 && isSingleSegment === 0) return undefined
  const length = 1 << sizeFlag
  if (bytes.length < at + length) return undefined
  const size = length === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUIntLE(at, length)
  // A two-byte size starts at 256.
  return length === 2 ? size + 256 : size
}

/** From the directory at the end. */
export const sizeInZip: SizeReader = async (file, signal) => {
  const size = /, (\d+) bytes uncompressed/.exec(await ask(['unzip', '-Zt', file], signal))?.[1]
  return size === undefined ? undefined : Number(size)
}

// --- internal ---

async function readPart(file: string, length: number, placeIn: (size: number) => number): Promise<Buffer> {
  const handle = await openToRead(file)
  try {
    const { size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(length),
      0,
      length,
      Math.max(0, placeIn(size)),
    )
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** The program's output; empty if it fails, because unpacking gives a better explanation. */
async function ask([program = '', ...words]: readonly string[], signal: AbortSignal): Promise<string> {
  const { stdout, failed } = await execa(program, words, {
    reject: false,
    stdin: 'ignore',
    timeout: 60_000,
    cancelSignal: signal,
    ...bareEnvironment(),
  })
  signal.throwIfAborted()
  return failed ? '' : (stdout ?? '')
}

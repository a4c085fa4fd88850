/**
 * Runs programs whose output is read. It is limited, because a failure's message quotes it with escapes: for a line of 32 million
 * spaces or control characters that takes 2 GiB of memory, and for twice as many it ends Node.js, without an error that anyone could
 * catch. A guest, a registry or a compressed signature can print such a line.
 */

import { buffer } from 'node:stream/consumers'
import { type Options, execa as unlimited } from 'execa'

export const execa = unlimited({ maxBuffer: 8 * 1024 ** 2 })

/** The bytes that a program prints, as many as they are: only for programs that pack what is our own. */
export async function bytesOf(program: string, words: readonly string[], options: Options): Promise<Buffer> {
  const child = execa(program, words, { ...options, buffer: { stdout: false } })
  const [bytes] = await Promise.all([buffer(child.stdout as NodeJS.ReadableStream), child])
  return bytes
}

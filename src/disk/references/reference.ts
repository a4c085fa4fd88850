/** References from image files to other files, and how to read image headers. */

import type { FileHandle } from 'node:fs/promises'
import type { Stretch } from '../block-node.ts'

/** Another file that holds a part of the disk. */
export interface Reference {
  readonly kind: 'backing file' | 'data file' | 'extent' | 'parent'
  /** As written in the image: a path, a URL, or a node in QEMU's `json:` notation. */
  readonly name: string
  /** QEMU's name for the file's format, if the image contains it. */
  readonly format?: string | undefined
}

/** Reads from a position in an image; the result is shorter at the end of the image. */
export type ReadImageBytes = (position: number, length: number) => Promise<Buffer>

/** Reads from an image that is a range of a file. */
export function readerOf(file: FileHandle, { offset, sizeBytes }: Stretch): ReadImageBytes {
  return async (position, length) => {
    const there = Math.max(0, Math.min(length, sizeBytes - position))
    if (!Number.isSafeInteger(position) || position < 0 || there === 0) return Buffer.alloc(0)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(there), 0, there, offset + position)
    return buffer.subarray(0, bytesRead)
  }
}

/** A name up to its first zero byte. */
export function textOf(bytes: Buffer, encoding: 'utf8' | 'utf16le' = 'utf8'): string {
  return bytes.toString(encoding).replace(/\0.*$/s, '')
}

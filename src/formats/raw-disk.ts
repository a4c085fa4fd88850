/** The final layer as one sparse raw file, read by every exporter: written once, and only where there is data. */

import type { FileHandle } from 'node:fs/promises'
import { type BlockNode, imageNode } from '../disk/block-node.ts'
import { convertImage, mapImage } from '../disk/qemu-img.ts'
import { openToRead } from '../host/regular-file.ts'
import { exportFailed } from './failures.ts'

/** A range of the disk that may contain something other than zeros, in bytes. */
export interface Extent {
  readonly start: number
  readonly length: number
}

export interface RawDisk {
  readonly path: string
  readonly sizeBytes: number
  /** In ascending order and not adjacent. Everything outside them is zeros. */
  readonly extents: readonly Extent[]
}

/** A block that is not all zeros. */
export interface DataBlock {
  /** Position on the disk, in blocks. */
  readonly index: number
  /** Always a full block, even at the end of the disk. Valid only for a while. */
  readonly data: Buffer
}

/**
 * Flattens a disk with all its backing files into the raw file `path`.
 * @throws PipelineError `export-failed`; the caller must remove any remains of the file
 */
export async function flattenDisk(source: BlockNode, path: string, signal: AbortSignal): Promise<RawDisk> {
  try {
    await convertImage({ from: source, to: path, format: 'raw' }, signal)
    return await openRawDisk(path, signal)
  } catch (cause) {
    signal.throwIfAborted()
    throw exportFailed(`flat copy ${path} of the disk`, cause)
  }
}

/** Finds out where a raw file holds data, without reading it. */
export async function openRawDisk(path: string, signal?: AbortSignal): Promise<RawDisk> {
  const entries = await mapImage(imageNode('raw', path), signal)
  const last = entries.at(-1)
  const extents = entries.filter((entry) => entry.data && !entry.zero)
  return {
    path,
    sizeBytes: last === undefined ? 0 : last.start + last.length,
    extents: extents.map(({ start, length }) => ({ start, length })),
  }
}

/** Bytes per read; blocks are smaller. */
const stretchBytes = 1 << 20

/**
 * Reads every block that is not all zeros, in ascending order, into the same few megabytes of memory.
 *
 * @param kept number of blocks that stay valid in addition to the latest one
 */
export async function* readDataBlocks(
  disk: RawDisk,
  blockBytes: number,
  kept = 1,
): AsyncGenerator<DataBlock> {
  const zeros = Buffer.alloc(blockBytes)
  const atOnce = Math.max(1, Math.floor(stretchBytes / blockBytes))
  // A ring buffer. A stretch that does not fit at the end leaves less than one stretch unused.
  const memory = Buffer.allocUnsafeSlow((kept + 2 * atOnce) * blockBytes)
  let free = 0
  const file = await openToRead(disk.path)
  try {
    let next = 0
    for (const { start, length } of disk.extents) {
      const end = Math.ceil((start + length) / blockBytes)
      for (let first = Math.max(next, Math.floor(start / blockBytes)); first < end; first = next) {
        next = Math.min(end, first + atOnce)
        const bytes = (next - first) * blockBytes
        if (free + bytes > memory.length) free = 0
        const stretch = memory.subarray(free, free + bytes)
        free += bytes
        await readFully(file, stretch, first * blockBytes)
        for (let index = first; index < next; index += 1) {
          const data = stretch.subarray((index - first) * blockBytes, (index - first + 1) * blockBytes)
          if (!data.equals(zeros)) yield { index, data }
        }
      }
    }
  } finally {
    await file.close()
  }
}

/** Fills the buffer with zeros past the end of the file. */
async function readFully(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  let done = 0
  for (let bytesRead = -1; bytesRead !== 0 && done < buffer.length; done += bytesRead) {
    bytesRead = (await file.read(buffer, done, buffer.length - done, position + done)).bytesRead
  }
  buffer.fill(0, done)
}

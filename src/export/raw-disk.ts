/** The final layer as one sparse raw file, which every exporter reads: written once, and only where there is data. */

import { open } from 'node:fs/promises'
import { execa } from 'execa'
import { exportFailed } from './partial-file.ts'

/** A stretch of the disk that may hold something else than zeros, in bytes. */
export interface Extent {
  readonly start: number
  readonly length: number
}

export interface RawDisk {
  readonly path: string
  readonly sizeBytes: number
  /** In ascending order, not touching each other. Everything outside of them is zeros. */
  readonly extents: readonly Extent[]
}

/** A block that holds something else than zeros. */
export interface DataBlock {
  /** Position on the disk, in blocks. */
  readonly index: number
  /** As long as a block, also at the end of the disk. Only valid until the next block is asked for. */
  readonly data: Buffer
}

/**
 * Flattens a disk, with all that it stands on, into the raw file `path`.
 * @throws PipelineError `export-failed`; what is left of the file then is the caller's to remove
 */
export async function flattenDisk(
  source: string,
  format: string,
  path: string,
  signal: AbortSignal,
): Promise<RawDisk> {
  try {
    await execa('qemu-img', ['convert', '-f', format, '-O', 'raw', source, path], {
      cancelSignal: signal,
      timeout: 3_600_000,
    })
    return await openRawDisk(path)
  } catch (cause) {
    signal.throwIfAborted()
    throw exportFailed(`flat copy ${path} of the disk ${source}`, cause)
  }
}

interface MapEntry {
  readonly start: number
  readonly length: number
  readonly data: boolean
  readonly zero: boolean
}

/** Finds out where a raw file holds data, without reading it. */
export async function openRawDisk(path: string): Promise<RawDisk> {
  const { stdout } = await execa('qemu-img', ['map', '-f', 'raw', '--output=json', path], {
    timeout: 600_000,
  })
  const entries = JSON.parse(stdout) as readonly MapEntry[]
  const last = entries.at(-1)
  const extents = entries.filter((entry) => entry.data && !entry.zero)
  return {
    path,
    sizeBytes: last === undefined ? 0 : last.start + last.length,
    extents: extents.map(({ start, length }) => ({ start, length })),
  }
}

/** Reads every block that is not all zeros, in ascending order, holding one block in memory. */
export async function* readDataBlocks(disk: RawDisk, blockBytes: number): AsyncGenerator<DataBlock> {
  const file = await open(disk.path, 'r')
  const buffer = Buffer.alloc(blockBytes)
  const zeros = Buffer.alloc(blockBytes)
  try {
    let next = 0
    for (const { start, length } of disk.extents) {
      const end = Math.ceil((start + length) / blockBytes)
      for (let index = Math.max(next, Math.floor(start / blockBytes)); index < end; index += 1) {
        next = index + 1
        buffer.fill(0)
        await readFully(file, buffer, index * blockBytes)
        if (!buffer.equals(zeros)) yield { index, data: buffer }
      }
    }
  } finally {
    await file.close()
  }
}

async function readFully(
  file: Awaited<ReturnType<typeof open>>,
  buffer: Buffer,
  position: number,
): Promise<void> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done)
    if (bytesRead === 0) return
    done += bytesRead
  }
}

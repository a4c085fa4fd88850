/** The disk as one compressed qcow2. */

import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { imageNode } from '../disk/block-node.ts'
import { compareImages, convertImage, requireSound } from '../disk/qemu-img.ts'
import { createWriteStream } from '../host/writing.ts'
import { gather } from './gather.ts'
import { compressGrains, countGrains, type Grain } from './grains.ts'
import { clusterBytes, encodeHeader } from './qcow2-format.ts'
import { layOutQcow2, type Places } from './qcow2-layout.ts'
import type { RawDisk } from './raw-disk.ts'

export interface Qcow2Options {
  readonly compat: '0.10' | '1.1'
  readonly compression: 'zlib' | 'zstd'
}

/**
 * Writes a qcow2, and checks with qemu-img that it is sound and equal to the disk.
 *
 * @param grains of the disk, if they are also compressed for another file
 */
export async function exportQcow2(
  disk: RawDisk,
  file: string,
  options: Qcow2Options,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
  grains: AsyncIterable<Grain> = compressGrains(disk),
): Promise<void> {
  const writing = (fraction: number) => onProgress(fraction * writingShare)
  if (options.compression === 'zlib') await writeZlib(disk, file, options, grains, writing, signal)
  else await convert(disk, file, options, writing, signal)
  const written = imageNode('qcow2', file)
  await requireSound(written, signal)
  await compareImages(imageNode('raw', disk.path), written, signal)
  onProgress(1)
}

/** Share of the time that writing takes; the rest is reading back. */
const writingShare = 0.85

/** Writes the file here, not with qemu-img, so that each grain is compressed only once for this file and VMware's. */
async function writeZlib(
  disk: RawDisk,
  file: string,
  { compat }: Qcow2Options,
  grains: AsyncIterable<Grain>,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const expected = countGrains(disk)
  let done = 0
  const counted = async function* () {
    for await (const grain of grains) {
      yield grain
      done += 1
      onProgress(Math.min(1, done / expected))
    }
  }
  let places: Places | undefined
  const body = async function* () {
    places = yield* layOutQcow2(disk.sizeBytes, counted())
  }
  await pipeline(gather(body()), createWriteStream(file, { start: clusterBytes }), { signal })
  if (places === undefined) throw new Error('the qcow2 has no end')
  const target = await open(file, 'r+')
  try {
    await target.writeFile(encodeHeader({ ...places, compat, sizeBytes: disk.sizeBytes }))
  } finally {
    await target.close()
  }
}

/** Uses qemu-img, for compression types that Node.js lacks. */
async function convert(
  disk: RawDisk,
  file: string,
  { compat, compression }: Qcow2Options,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const from = imageNode('raw', disk.path)
  const options = { compat, compression_type: compression }
  await convertImage({ from, to: file, format: 'qcow2', options, isCompressed: true }, signal, onProgress)
}

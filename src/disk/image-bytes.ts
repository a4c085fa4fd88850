/** Stretches of a disk image, copied out of whatever format it has. */

import { open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { execa } from 'execa'
import { exitCodes, PipelineError } from '../errors.ts'
import { type ImageFile, nodeName, unreadableDisk } from './image-file.ts'

/** Copies a stretch into a sparse file of its own. */
export async function extractBytes(
  { path, node }: ImageFile,
  offset: number,
  size: number,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const view = nodeName({ driver: 'raw', offset, size, file: node })
  const result = await execa('qemu-img', ['convert', '-O', 'raw', view, file], {
    reject: false,
    timeout: 3_600_000,
    cancelSignal: signal,
  })
  signal.throwIfAborted()
  if (result.failed) {
    const said = result.stderr.trim() || (result.shortMessage ?? 'qemu-img failed')
    if (said.includes('No space left on device')) throw noRoom(file, result)
    throw unreadableDisk(`the disk ${path} cannot be copied to ${file}: ${said}`, result)
  }
}

/** Copies a stretch of the image to the same place of a file, and returns it. */
export async function copyBytes(
  image: ImageFile,
  offset: number,
  length: number,
  disk: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const bytes = await readBytes(image, offset, Math.min(length, image.sizeBytes - offset), disk, signal)
  const file = await open(disk, 'r+')
  try {
    await file.write(bytes, 0, bytes.length, offset)
  } finally {
    await file.close()
  }
  return bytes
}

// --- internal ---

async function readBytes(
  image: ImageFile,
  offset: number,
  length: number,
  disk: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const part = `${disk}-part`
  await extractBytes(image, offset, length, part, signal)
  return readFile(part)
}

function noRoom(file: string, cause: unknown): PipelineError {
  return new PipelineError({
    code: 'no-space',
    message: `there is no room for a copy of the disk's data in ${dirname(file)}`,
    hint: 'make room there, or set TMPDIR to a folder that has it.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

/** Decompression with a size limit. */

import { promisify } from 'node:util'
import { gunzip as unpack } from 'node:zlib'
import { exitCodes, PipelineError } from '../errors.ts'

/** With zlib's default of 16 KiB, unpacking a 50 MB index takes twice as long. */
const chunkBytes = 256 * 1024

/**
 * Unpacks in memory.
 * @param name what is being unpacked, for errors
 * @throws PipelineError `download-too-large`, `mirror-file-corrupt`
 */
export async function gunzip(packed: Buffer, maximumBytes: number, name: string): Promise<Buffer> {
  try {
    return await promisify(unpack)(packed, { maxOutputLength: maximumBytes, chunkSize: chunkBytes })
  } catch (cause) {
    const isLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new PipelineError({
      code: isLarge ? 'download-too-large' : 'mirror-file-corrupt',
      message: isLarge
        ? `${name} unpacks to more than ${maximumBytes} bytes`
        : `${name} cannot be unpacked: ${(cause as Error).message}`,
      hint: 'use another mirror.',
      exitCode: exitCodes.hostNotFit,
      cause,
    })
  }
}

/** Stops transfers that bring more than expected: a registry says how large a blob is, but may send any number of bytes. */

import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { namesIn } from '../host/unless-missing.ts'

export interface TransferLimit {
  /** Aborted with the given reason once the folder is too large, and with the reason of the transfer's own signal. */
  readonly signal: AbortSignal
  readonly stop: () => void
}

/** Watches the folder that a transfer fills. */
export function limitTransfer(
  folder: string,
  maximumBytes: number,
  reason: Error,
  signal: AbortSignal,
): TransferLimit {
  const tooMuch = new AbortController()
  const timer = setInterval(() => {
    bytesIn(folder).then(
      (bytes) => {
        if (bytes > maximumBytes) tooMuch.abort(reason)
      },
      // Anything that cannot be read now is looked at next time.
      () => undefined,
    )
  }, 250)
  return { signal: AbortSignal.any([signal, tooMuch.signal]), stop: () => clearInterval(timer) }
}

/** The bytes of all files in a folder and those below it. */
export async function bytesIn(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await namesIn(folder)) {
    // A file that is renamed in the meantime counts next time.
    const found = await lstat(join(folder, name)).catch(() => undefined)
    bytes += found?.isDirectory() ? await bytesIn(join(folder, name)) : (found?.size ?? 0)
  }
  return bytes
}

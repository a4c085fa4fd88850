/** Files that get their name only once they are complete. */

import { rename, rm } from 'node:fs/promises'
import { PipelineError } from '../errors.ts'
import { exportFailed } from '../formats/failures.ts'

/**
 * Writes a file under a temporary name and moves it into place on success. On failure, an existing file is unchanged.
 * @param partial the temporary name, on the same filesystem
 * @param confirm throws if another run has taken over the folder: then nothing in it is ours to move or remove
 */
export async function writeWhole<Result>(
  file: string,
  partial: string,
  signal: AbortSignal,
  write: (partial: string) => Promise<Result>,
  confirm: () => Promise<void> = async () => undefined,
): Promise<Result> {
  try {
    signal.throwIfAborted()
    const result = await write(partial)
    await confirm()
    await rename(partial, file)
    return result
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof PipelineError) throw cause
    throw exportFailed(`image ${file}`, cause)
  } finally {
    await confirm().then(
      () => rm(partial, { force: true }),
      () => undefined,
    )
  }
}

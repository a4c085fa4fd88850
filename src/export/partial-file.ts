/** Files that get their name only when they are whole. */

import { constants, copyFile, link, rename, rm } from 'node:fs/promises'
import { PipelineError } from '../errors.ts'
import { exportFailed } from '../formats/failures.ts'

/**
 * Has a file written under another name, and moves it into place when that went well. When it did not, the file that was
 * there stays as it was.
 * @param partial the other name, on the same file system
 */
export async function writeWhole<Result>(
  file: string,
  partial: string,
  signal: AbortSignal,
  write: (partial: string) => Promise<Result>,
): Promise<Result> {
  try {
    signal.throwIfAborted()
    const result = await write(partial)
    await rename(partial, file)
    return result
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof PipelineError) throw cause
    throw exportFailed(`image ${file}`, cause)
  } finally {
    await rm(partial, { force: true })
  }
}

/** A second name for the file where that is possible; exports replace files and never write into them. */
export async function bringFile(file: string, to: string): Promise<void> {
  await link(file, to).catch(() => copyFile(file, to, constants.COPYFILE_FICLONE))
}

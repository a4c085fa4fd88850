/** Files that get their name only when they are whole. */

import { constants, copyFile, link, rename, rm } from 'node:fs/promises'
import { PipelineError } from '../errors.ts'

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

/** Why a writer cannot make its file, and what is to be done. Which file it is, whoever has it written says. */
export class ExportFault extends Error {
  readonly hint: string

  constructor(message: string, hint: string) {
    super(message)
    this.name = 'ExportFault'
    this.hint = hint
  }
}

/**
 * The error of an export that failed for what a system call or a program said.
 * @param what kind of file and its path
 */
export function exportFailed(what: string, cause: unknown): PipelineError {
  const found = cause as { code?: string; shortMessage?: string; stderr?: string; message: string }
  const said = found.stderr?.trim() || (found.shortMessage ?? found.message)
  const isFull = found.code === 'ENOSPC' || said.includes('No space left on device')
  return new PipelineError({
    code: 'export-failed',
    message: `the ${what} could not be made: ${isFull ? 'its disk is full' : said}`,
    // True of a build, whose layers are kept, and of the export of any disk.
    hint:
      cause instanceof ExportFault
        ? cause.hint
        : `${isFull ? 'make room there' : 'mend that'} and run the command again; what was finished before is kept.`,
    cause,
  })
}

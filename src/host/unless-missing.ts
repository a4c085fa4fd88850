/** Distinguishes missing files from unreadable ones: only missing ones may be recreated, or cleaned up after. */

import { readdir, stat } from 'node:fs/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { reasonOf } from './failures.ts'

const absent = new Set(['ENOENT', 'ENOTDIR'])

/** @returns undefined if the path does not exist @throws PipelineError `unreadable` for any other failure to read it */
export async function unlessMissing<Result>(
  path: string,
  read: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await read()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== undefined && absent.has(code)) return undefined
    throw code === undefined || error instanceof PipelineError ? error : unreadable(path, code, error)
  }
}

/** Names in a folder; none if there is no folder. @throws PipelineError `unreadable` */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return (await unlessMissing(folder, () => readdir(folder))) ?? []
}

/** Size of a file in bytes; undefined if it is not there. @throws PipelineError `unreadable` */
export async function sizeIfThere(path: string): Promise<number | undefined> {
  return (await unlessMissing(path, () => stat(path)))?.size
}

// --- internal ---

function unreadable(path: string, code: string, cause: unknown): PipelineError {
  const isLimit = code === 'EMFILE' || code === 'ENFILE'
  return new PipelineError({
    code: 'unreadable',
    message: `cannot read ${path}: ${reasonOf(cause)}`,
    hint: isLimit
      ? 'too many files are open: raise the limit with ulimit -n, and try again. Nothing was removed.'
      : 'check its permissions and the disk it is on, and try again. Nothing was removed.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

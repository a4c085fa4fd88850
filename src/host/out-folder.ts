/** The folder that builds write to, and nothing else does. */

import { access, constants, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder } from './files.ts'

/** Says in a folder that it is ours, for whoever is asked to remove things from it. */
export async function markOutput(outFolder: string): Promise<void> {
  await writeFile(
    join(outFolder, outputMark),
    'Written to by systemvm-image; see `systemvm-image clean --help`.\n',
  )
}

const outputMark = '.systemvm-image'

/** Whether a folder was ever built in. */
export async function isOutput(outFolder: string): Promise<boolean> {
  return (await stat(join(outFolder, outputMark)).catch(() => undefined)) !== undefined
}

/** @throws PipelineError `out-read-only` when it cannot be written, or is no folder */
export async function requireWritable(folder: string): Promise<void> {
  try {
    await makeFolder(folder)
    // Opening it finds out what is no folder, too.
    await readdir(folder)
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw new PipelineError({
      code: 'out-read-only',
      message: `cannot write in the output folder ${folder}: ${(cause as NodeJS.ErrnoException).code}`,
      hint: 'make it writable for you, or give another one with --out.',
      exitCode: exitCodes.hostNotFit,
      cause,
    })
  }
}

/** The folder of a run, and its name. */

import { appendFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { outFolderAt } from './out-folder.ts'

export interface RunFolder {
  readonly id: string
  /** `out/runs/<id>` */
  readonly folder: string
  /** `out` */
  readonly outFolder: string
}

/** The folder of a run, named by its start time, so that listings are in order. */
export function runFolderOf(outFolder: string, variant: string, startedAt: Date): RunFolder {
  const stamp = startedAt.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const id = `${stamp}-${variant}-${process.pid}`
  return { id, folder: join(outFolderAt(outFolder).runs, id), outFolder }
}

/** Prefix of the folders that a run makes outside of `out/`. */
export const temporaryPrefix = 'systemvm-image-'

/** File in the folder of an unfinished run: lists the folders that it has made outside of `out/`. */
export const noteName = 'unfinished'

/** Notes that a run has begun: a note without a living run means that there is something to clean up. */
export async function noteBeginning(runFolder: string): Promise<void> {
  await writeFile(join(runFolder, noteName), '')
}

/** Notes a folder outside of `out/` that the run is about to make. */
export async function noteFolder(runFolder: string, path: string): Promise<void> {
  await appendFile(join(runFolder, noteName), `${path}\n`)
}

/** Notes that a run has ended by itself and left nothing behind. */
export async function noteEnd(runFolder: string): Promise<void> {
  await rm(join(runFolder, noteName), { force: true })
}

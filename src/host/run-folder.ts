/** Where a run keeps its files, and what it is called. */

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

/** A run's place, named by when it began, so that a listing is in order. */
export function runFolderOf(outFolder: string, variant: string, startedAt: Date): RunFolder {
  const stamp = startedAt.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const id = `${stamp}-${variant}-${process.pid}`
  return { id, folder: join(outFolderAt(outFolder).runs, id), outFolder }
}

/** How the folders begin that a run makes outside of `out/`. */
export const temporaryPrefix = 'systemvm-image-'

/** In a run's folder as long as it is under way: a list of the folders that it has made outside of `out/`. */
export const noteName = 'unfinished'

/** Says that a run begins: from now on whoever finds the note without the run has to clear up after it. */
export async function noteBeginning(runFolder: string): Promise<void> {
  await writeFile(join(runFolder, noteName), '')
}

/** Notes a folder outside of `out/` that the run is about to make. */
export async function noteFolder(runFolder: string, path: string): Promise<void> {
  await appendFile(join(runFolder, noteName), `${path}\n`)
}

/** Says that a run has ended by itself, and has left nothing. */
export async function noteEnd(runFolder: string): Promise<void> {
  await rm(join(runFolder, noteName), { force: true })
}

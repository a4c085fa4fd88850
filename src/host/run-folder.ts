/** The folder of a run, and its name. */

import { randomBytes } from 'node:crypto'
import { appendFile, lstat, rm, stat } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import { outFolderAt } from './out-folder.ts'
import { readRegularText } from './regular-file.ts'
import { writeFile } from './writing.ts'

export interface RunFolder {
  readonly id: string
  /** `out/runs/<id>` */
  readonly path: string
  /** `out` */
  readonly outFolder: string
}

/** The folder of a run, named by its start time so that listings are in order. */
export function runFolderOf(outFolder: string, variant: string, startedAt: Date): RunFolder {
  const stamp = startedAt.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const id = `${stamp}-${variant}-${process.pid}`
  return { id, path: join(outFolderAt(outFolder).runs, id), outFolder }
}

/** Path of a folder that a run makes outside of `out/`, with a unique name. */
export function temporaryFolderIn(parent: string): string {
  return join(parent, `systemvm-image-${randomBytes(6).toString('hex')}`)
}

const temporaryPattern = /^systemvm-image-[0-9a-f]{12}$/

/** File in the folder of an unfinished run: which folder it is for, and the folders that the run has made outside of `out/`. */
const noteName = 'unfinished'

/** Notes that a run has begun: a note without a live run means that there is something to clean up. */
export async function noteBeginning(folder: string): Promise<void> {
  await writeFile(join(folder, noteName), `${await identityOf(folder)}\n`)
}

/** Differs for a copy of the folder: a copy is not a run of this host, and must not end those that are. */
async function identityOf(folder: string): Promise<string> {
  const { dev, ino } = await stat(folder)
  return `run ${dev} ${ino}`
}

/**
 * The temporary folders of a run that was killed; undefined if it ended by itself, or ran elsewhere. Whatever a note says,
 * these are folders of this user, with names that only runs choose.
 */
export async function readNote(folder: string): Promise<readonly string[] | undefined> {
  const text = await readRegularText(join(folder, noteName)).catch(() => undefined)
  const [identity, ...paths] = text?.split('\n') ?? []
  if (identity === undefined || identity !== (await identityOf(folder))) return undefined
  const areOurs = await Promise.all(paths.map(isTemporary))
  return paths.filter((_, index) => areOurs[index])
}

async function isTemporary(path: string): Promise<boolean> {
  if (!isAbsolute(path) || !temporaryPattern.test(basename(path))) return false
  const found = await lstat(path).catch(() => undefined)
  return found?.isDirectory() === true && found.uid === process.getuid?.()
}

/** Notes a folder outside of `out/` that the run is about to make. */
export async function noteFolder(folder: string, made: string): Promise<void> {
  await appendFile(join(folder, noteName), `${made}\n`)
}

/** Notes that a run has ended by itself and left nothing behind. */
export async function noteEnd(folder: string): Promise<void> {
  await rm(join(folder, noteName), { force: true })
}

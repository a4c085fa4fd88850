/** What killed runs have left: known by what each run notes while it is under way, and cleared away by the next. */

import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isBeingWritten } from '../host/files.ts'
import { killMarked } from '../host/process.ts'
import { removeTree } from '../host/remove-tree.ts'
import { noteEnd, noteName, temporaryPrefix } from '../host/run-folder.ts'
import { openStates } from '../store/states.ts'
import type { Store, StoreFault } from '../store/store.ts'
import { workFolderName } from './export-images.ts'

/**
 * Ends what killed runs have left running, and removes what they left lying about. The lock has to be held.
 * Returns the layers that were there and could not be used.
 */
export async function clearLeftovers(outFolder: string, store: Store): Promise<readonly StoreFault[]> {
  const runs = join(outFolder, 'runs')
  for (const run of await namesIn(runs)) {
    const noted = await readFile(join(runs, run, noteName), 'utf8').catch(() => undefined)
    if (noted === undefined) continue
    await killMarked(run)
    for (const path of noted.split('\n')) {
      if (basename(path).startsWith(temporaryPrefix)) await removeTree(path)
    }
    // Last, so that a run which is killed while it clears up leaves the rest of it to the next.
    await noteEnd(join(runs, run))
  }
  const images = join(outFolder, 'images')
  await rm(join(images, workFolderName), { recursive: true, force: true })
  // Here others write without the lock, as `verify` does.
  const states = join(store.folder, 'states')
  const folders = [
    outFolder,
    images,
    ...['cache', 'cache/netboot', 'verdicts', 'inputs'].map((name) => join(outFolder, name)),
    states,
  ]
  for (const folder of folders) {
    for (const name of await namesIn(folder)) {
      if (name.endsWith('.tmp') && !isBeingWritten(name))
        await rm(join(folder, name), { recursive: true, force: true })
    }
  }
  const faults = await store.sweep()
  await openStates(states).prune(await store.list())
  return faults
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => [])
}

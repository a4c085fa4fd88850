/** Cleans up after killed runs: each run notes what it leaves while it works, and the next run removes it. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isLeftover } from '../host/files.ts'
import { foldersWrittenTo, outFolderAt, requireOwnFolders } from '../host/out-folder.ts'
import { killMarked } from '../host/process.ts'
import { removeTree } from '../host/remove-tree.ts'
import { noteEnd, readNote } from '../host/run-folder.ts'
import { namesIn } from '../host/unless-missing.ts'
import type { StoreFault } from '../store/entries.ts'
import { openStates } from '../store/states.ts'
import type { Store } from '../store/store.ts'

/**
 * Kills processes and removes files that killed runs left behind. The lock must be held.
 * Returns the layers that turned out to be unusable.
 * @throws PipelineError `out-linked` before anything is removed
 */
export async function clearLeftovers(outFolder: string, store: Store): Promise<readonly StoreFault[]> {
  const out = outFolderAt(outFolder)
  await requireOwnFolders(out)
  const { runs } = out
  for (const run of await namesIn(runs)) {
    const noted = await readNote(join(runs, run))
    if (noted === undefined) continue
    await killMarked(run)
    for (const path of noted) await removeTree(path)
    // Last, so that if this run is killed during the cleanup, the next one finishes it.
    await noteEnd(join(runs, run))
  }
  await rm(out.unfinishedImages, { recursive: true, force: true })
  // Others, such as `verify`, write here without the lock.
  for (const folder of await foldersWrittenTo(out)) {
    const left = (await namesIn(folder)).filter(isLeftover)
    for (const name of left) await rm(join(folder, name), { recursive: true, force: true })
  }
  const faults = await store.sweep()
  await openStates(out.states).prune(await store.list())
  return faults
}

/** A short-lived folder outside of `out/`. */

import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { temporaryFolderIn } from './run-folder.ts'

/** A short-lived folder of one run for sockets, keys, and Packer's own files. */
export interface ScratchFolder {
  readonly folder: string
  readonly qmpSocket: string
  readonly channelSocket: string
  readonly checkpointSocket: string
  readonly remove: () => Promise<void>
}

/**
 * Makes the folder, outside of `out/`: a socket's path must fit into 108 bytes, however deep a clone is.
 * @param note called with the folder before it exists
 */
export async function createScratchFolder(note?: (folder: string) => Promise<void>): Promise<ScratchFolder> {
  // 108 bytes, minus the longest name below and this folder's own name.
  const parent = tmpdir().length > 50 ? '/tmp' : tmpdir()
  const folder = temporaryFolderIn(parent)
  await note?.(folder)
  await mkdir(folder, { mode: 0o700 })
  return {
    folder,
    qmpSocket: join(folder, 'qmp'),
    channelSocket: join(folder, 'channel'),
    checkpointSocket: join(folder, 'checkpoint'),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

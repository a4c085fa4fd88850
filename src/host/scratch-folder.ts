/** A short-lived folder outside of `out/`. */

import { mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolderIn } from './run-folder.ts'
import { socketPathBytes } from './unix-socket.ts'
import { findShortFolder, findWorkFolder } from './work-folder.ts'

/** A short-lived folder of one run, for disks, sockets, keys, and Packer's own files. */
export interface ScratchFolder {
  /** Short enough for a socket in a subfolder, and one word in a shell. All its files are in the work folder, perhaps through a link. */
  readonly folder: string
  readonly qmpSocket: string
  readonly channelSocket: string
  readonly checkpointSocket: string
  readonly remove: () => Promise<void>
}

/** Bytes left for a socket's path within the folder: `/baseBoot-redundant-router/port0` is the longest. */
const innerBytes = 33

/** Packer writes scripts to its folder, and starts them by paths that it does not quote. */
const plainPath = /^[\w./+-]+$/

/**
 * Makes the folder in the work folder. If its path is too long for sockets, or a shell would not read it as it is, a link with
 * a short and plain path leads to it.
 * @param note called with each folder before it exists
 * @throws PipelineError `work-folder`
 */
export async function createScratchFolder(note?: (folder: string) => Promise<void>): Promise<ScratchFolder> {
  const place = temporaryFolderIn(await findWorkFolder())
  const isShort = Buffer.byteLength(place) <= socketPathBytes - innerBytes
  const made =
    isShort && plainPath.test(place) ? [place] : [place, temporaryFolderIn(await findShortFolder())]
  for (const folder of made) {
    await note?.(folder)
    await mkdir(folder, { mode: 0o700 })
  }
  const [, short] = made
  const folder = short === undefined ? place : join(short, 'at')
  if (short !== undefined) await symlink(place, folder)
  return {
    folder,
    qmpSocket: join(folder, 'qmp'),
    channelSocket: join(folder, 'channel'),
    checkpointSocket: join(folder, 'checkpoint'),
    remove: async () => {
      for (const one of made) await rm(one, { recursive: true, force: true })
    },
  }
}

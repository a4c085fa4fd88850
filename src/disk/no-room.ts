/** Checks for disk space for copies of disks, all of which are in the folder for temporary files. */

import { exitCodes, PipelineError } from '../errors.ts'
import { freeBytes } from '../host/files.ts'
import { findWorkFolder } from '../host/work-folder.ts'

/**
 * Checks for disk space before anything is written.
 * @param what will be written there, e.g. `a copy of the disk x.qcow2`
 * @throws PipelineError `no-space`
 */
export async function requireRoom(bytes: number, what: string): Promise<void> {
  const folder = await findWorkFolder()
  const free = await freeBytes(folder)
  if (free >= bytes) return
  // Rounded in opposite directions, so that the two sizes never look the same.
  throw noSpace(
    folder,
    what,
    `it needs ${mebibytes(bytes, Math.ceil)}, ${mebibytes(free, Math.floor)} are free`,
  )
}

/**
 * Limit for writing something of unknown size, which leaves some space for the host's other programs.
 * @param what as above
 */
export async function limitToRoom(what: string): Promise<RoomLimit> {
  const folder = await findWorkFolder()
  const bytes = Math.floor((await freeBytes(folder)) * fillableShare)
  const why = `it needs more than ${mebibytes(bytes, Math.floor)}, the most that it may fill`
  return { bytes, exceeded: () => noSpace(folder, what, why) }
}

export interface RoomLimit {
  readonly bytes: number
  readonly exceeded: () => PipelineError
}

/** The error for a write that failed. @param what as above */
export async function noRoomFor(what: string, cause: unknown): Promise<PipelineError> {
  return noSpace(await findWorkFolder(), what, 'the disk is full', cause)
}

// --- internal ---

const fillableShare = 0.9

const mebibytes = (bytes: number, round: (value: number) => number) => `${round(bytes / 1024 ** 2)} MiB`

function noSpace(folder: string, what: string, why: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: 'no-space',
    message: `there is no room in ${folder} for ${what}: ${why}`,
    hint: 'free some space there, or set TMPDIR to another folder.',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}

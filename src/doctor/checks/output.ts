/** Checks the folders that builds write to. */

import { constants } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { exitCodes, PipelineError } from '../../errors.ts'
import { findAccount } from '../../host/account.ts'
import { canAccess, freeBytes } from '../../host/files.ts'
import { findWorkFolder } from '../../host/work-folder.ts'
import type { RoomAhead } from '../../report/events.ts'
import { formatBytes } from '../../report/format.ts'
import { type Finding, fault, ok, warning } from '../check.ts'

export async function checkWritable(folder: string): Promise<Finding> {
  const existing = await nearestExisting(folder)
  const isWritable = await canAccess(existing, constants.W_OK | constants.X_OK)
  if (isWritable) return ok(folder)
  return fault(
    `${existing} is not writable for ${findAccount().text}`,
    'make it writable for the user who builds.',
  )
}

/** Checks the folder for temporary files. */
export async function checkWorkFolder(): Promise<Finding> {
  try {
    const folder = await findWorkFolder()
    return ok(`${gibibytes(await freeBytes(folder))} free in ${folder}`)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    return fault(error.message, error.hint ?? '', error)
  }
}

/** Packer interprets double braces in a path as its own template syntax. */
export function checkPath(path: string): Finding {
  if (!path.includes('{{')) return ok(path)
  const error = new PipelineError({
    code: 'path-braces',
    message: `the path ${path} has {{ in it, which Packer reads as a template`,
    hint: 'use a folder without it.',
    exitCode: exitCodes.badInput,
  })
  return fault(error.message, 'use a folder without it.', error)
}

/** Below this multiple of what a build should take, space is short: no two builds take exactly the same. */
const comfort = 1.25

/** A warning if a disk is too small for a build or barely large enough; otherwise undefined. */
export function describeShortage(folder: string, room: RoomAhead): string | undefined {
  const { peakBytes, isKnown, freeBytes } = room
  if (freeBytes >= peakBytes * (isKnown ? comfort : 1)) return undefined
  const needs = `${isKnown ? 'this build needs about' : 'a build needs'} ${formatBytes(peakBytes)}`
  const what = freeBytes < peakBytes ? 'not enough disk space' : 'little disk space'
  return `${what} for ${folder}: ${formatBytes(freeBytes)} are free, ${needs}`
}

/** @param room the space that the build takes and the free space; without a known build, free space is measured here */
export async function checkSpace(
  folder: string,
  room: RoomAhead | { readonly neededBytes: number },
): Promise<Finding> {
  const existing = await nearestExisting(folder)
  const ahead =
    'peakBytes' in room
      ? room
      : { peakBytes: room.neededBytes, isKnown: false, freeBytes: await freeBytes(existing) }
  const found = `${gibibytes(ahead.freeBytes)} free in ${existing}`
  const shortage = describeShortage(folder, ahead)
  if (shortage === undefined) return ok(found)
  const text = `${found}, ${gibibytes(ahead.peakBytes)} needed`
  const advice = 'free some space there, or build on another filesystem.'
  if (ahead.freeBytes >= ahead.peakBytes) return warning(text, advice, shortage)
  const error = new PipelineError({
    code: 'no-space',
    message: shortage,
    hint: 'free some space, remove layers with: npm run image -- store prune, or give another folder with --out.',
    exitCode: exitCodes.hostNotFit,
    details: { freeBytes: ahead.freeBytes, neededBytes: ahead.peakBytes },
  })
  return fault(text, advice, error)
}

// --- internal ---

async function nearestExisting(path: string): Promise<string> {
  const full = resolve(path)
  const exists = await canAccess(full)
  return exists || dirname(full) === full ? full : nearestExisting(dirname(full))
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}

/** Where temporary files go: one rule for all commands. */

import { access, constants, mkdir, rm, stat } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { reasonOf } from './failures.ts'
import { temporaryFolderIn } from './run-folder.ts'

/**
 * `TMPDIR` if set; else `/var/tmp`, since `/tmp` may be in memory and a copy is as large as a disk's data; else `/tmp`.
 * @throws PipelineError `work-folder`
 */
export async function findWorkFolder(): Promise<string> {
  const named = process.env.TMPDIR ?? ''
  if (named !== '') {
    if (!isAbsolute(named)) throw unfit(`TMPDIR is ${JSON.stringify(named)}, which is not an absolute path`)
    const fault = await faultOf(named)
    if (fault !== undefined) throw unfit(`TMPDIR is ${named}: ${fault}`)
    return resolve(named)
  }
  const faults: string[] = []
  for (const folder of ['/var/tmp', shortFolder]) {
    const fault = await faultOf(folder)
    if (fault === undefined) return folder
    faults.push(`${folder}: ${fault}`)
  }
  throw unfit(`there is no folder for temporary files: ${faults.join('; ')}`)
}

/** A folder with a path short enough for sockets. @throws PipelineError `work-folder` */
export async function findShortFolder(): Promise<string> {
  const fault = await faultOf(shortFolder)
  if (fault === undefined) return shortFolder
  throw unfit(
    `TMPDIR is ${process.env.TMPDIR}, too long for the path of a Unix socket or not one plain word in a shell, and ${shortFolder} cannot be used instead: ${fault}`,
  )
}

/** Runs an action with its own folder, which is removed afterwards. @throws PipelineError `work-folder` */
export async function inWorkFolder<Result>(action: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = temporaryFolderIn(await findWorkFolder())
  await mkdir(folder, { mode: 0o700 })
  try {
    return await action(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

// --- internal ---

const shortFolder = '/tmp'

/** Why files cannot be made in a folder; undefined if they can. */
async function faultOf(folder: string): Promise<string | undefined> {
  try {
    if (!(await stat(folder)).isDirectory()) return 'it is not a folder'
    await access(folder, constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

function unfit(message: string): PipelineError {
  return new PipelineError({
    code: 'work-folder',
    message,
    hint: 'set TMPDIR to a folder that you can write to, or unset it to use /var/tmp.',
    exitCode: exitCodes.hostNotFit,
  })
}

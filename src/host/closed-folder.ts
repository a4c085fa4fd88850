/**
 * Keeps an output folder to those that its user trusts. Layers and verdicts in it are believed, and files in it are written by
 * their paths: whoever else can write there would decide what is in an image, and where the next file goes.
 */

import { lstat, realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'

/**
 * Groups are the administrator's or the owner's choice, so their members may write. Folders that do not exist are passed over.
 * @param inside folders in it that are written to
 * @throws PipelineError `out-open`
 */
export async function requireClosed(folder: string, inside: readonly string[] = []): Promise<void> {
  const path = resolve(folder)
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) return
  // A link in /tmp that someone else made leads where they like.
  for (const one of real === path ? [path] : [path, real]) await requireOwner(one)
  for (const one of [real, ...inside]) {
    const found = await stat(one).catch(() => undefined)
    if (found === undefined || (found.mode & 0o002) === 0) continue
    throw open(one, 'everyone on this host can write there', `run chmod o-w ${one}, or`)
  }
}

/**
 * For a folder that files are only put into: others may have files there, as in /tmp, but not replace ours while we write them.
 * @param workFolder in it; what someone else has put there would be removed, and could lead elsewhere by then
 * @throws PipelineError `out-open`
 */
export async function requireKept(folder: string, workFolder: string): Promise<void> {
  const { mode } = await stat(folder)
  if ((mode & 0o1002) === 0o002)
    throw open(folder, 'everyone on this host can replace files there', `run chmod o-w ${folder}, or`)
  await requireClosed(workFolder)
}

// --- internal ---

/**
 * Whoever owns the folder around it could put another one in its place anyway, as the owner of a clone that root builds in.
 * @throws PipelineError `out-open`
 */
async function requireOwner(path: string): Promise<void> {
  const [{ uid }, around] = await Promise.all([lstat(path), stat(dirname(path))])
  if (uid === 0 || uid === process.getuid?.() || uid === around.uid) return
  throw open(path, `it belongs to another user (uid ${uid})`, 'have root own a folder for several users, or')
}

function open(path: string, why: string, remedy: string): PipelineError {
  return new PipelineError({
    code: 'out-open',
    message: `${path} is not a safe output folder: ${why}`,
    hint: `whoever can write there decides what is in the images: ${remedy} give a folder of your own with --out.`,
    exitCode: exitCodes.hostNotFit,
    details: { path },
  })
}

/** The folder of a release: filled next to its final path, then swapped with the release that was there. */

import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { parseChecksums } from '../host/checksum-list.ts'
import {
  canAccess,
  flush,
  isRunning,
  makeFolder,
  removeLeftovers,
  stampOf,
  temporaryName,
} from '../host/files.ts'
import { sha256File } from '../host/hash-file.ts'
import { readRegularText } from '../host/regular-file.ts'
import { namesIn } from '../host/unless-missing.ts'
import { findOddSizes } from './file-sizes.ts'
import {
  fileNamesOf,
  findReleaseRecord,
  isOfPackages,
  packagesFolder,
  releaseFiles,
  unlistedFiles,
} from './record.ts'

/**
 * Fills a folder and puts it in the place of a release. The previous release keeps its name until then, and loses only the
 * files that its own record lists.
 * @returns the result of `fill`, and the folder with files that did not belong to the previous release, if there are any
 * @throws PipelineError `not-a-release`
 */
export async function makeReleaseFolder<Result>(
  folder: string,
  fill: (staging: string) => Promise<Result>,
  signal?: AbortSignal,
  sound?: SoundFiles,
): Promise<{ readonly result: Result; readonly kept: string | undefined }> {
  await makeFolder(dirname(folder))
  await endKilledRuns(folder, signal)
  const staging = temporaryName(folder)
  await mkdir(staging)
  try {
    const result = await fill(staging)
    await flushRelease(staging)
    // Checked again, since filling takes minutes.
    await requireReplaceable(folder, signal, sound)
    return { result, kept: await swap(folder, staging) }
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** Files that were read and match the release, by their stamps: a release has gigabytes. */
export type SoundFiles = Map<string, string>

/**
 * @param sound from an earlier call: unchanged files are not read again
 * @throws PipelineError `not-a-release` if a folder contains anything but a release of ours
 */
export async function requireReplaceable(
  folder: string,
  signal?: AbortSignal,
  sound: SoundFiles = new Map(),
): Promise<void> {
  const found = await lstat(folder).catch(() => undefined)
  if (found === undefined) return
  if (!found.isDirectory()) throw notARelease(folder, 'it is not a folder')
  const own = await namesOfRelease(folder)
  const { files, others } = await listReleaseFolder(folder)
  if (own === undefined && files.length + others.length > 0)
    throw notARelease(folder, `it has no ${releaseFiles.record} of a release`)
  const [other] = [...others, ...files.filter((name) => !isOwn(name, own))]
  if (other !== undefined) throw notARelease(folder, `it also has ${other}`)
  const odd = await findOddSizes(folder, files, await findReleaseRecord(folder))
  for (const name of files) {
    const size = odd.get(name)
    if (size !== undefined) throw notARelease(folder, `${name} ${size}`)
    if (own !== undefined && !(await isAsReleased(folder, name, own, { signal, sound })))
      throw notARelease(folder, `${name} is not what ${releaseFiles.checksums.sha256} lists`)
  }
}

/**
 * The names of the files in a release, with paths below the folder for those of its package set; and of anything that is not
 * a file.
 */
export async function listReleaseFolder(
  folder: string,
): Promise<{ readonly files: readonly string[]; readonly others: readonly string[] }> {
  const files: string[] = []
  const others: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isFile()) files.push(entry.name)
    else if (!entry.isDirectory() || entry.name !== packagesFolder) others.push(entry.name)
    else
      for (const inner of await readdir(join(folder, packagesFolder), { withFileTypes: true }))
        (inner.isFile() ? files : others).push(`${packagesFolder}/${inner.name}`)
  }
  return { files: files.sort(), others }
}

/** The folders that a release had when it was replaced, if their run was killed or left something of the user's in them. */
export async function formerReleases(folder: string): Promise<readonly string[]> {
  const above = dirname(folder)
  const names = (await namesIn(above)).filter((name) => name.startsWith(`${basename(folder)}.before-`))
  return names.filter((name) => formerPattern.test(name)).map((name) => join(above, name))
}

// --- internal ---

const formerPattern = /\.before-(\d+)-[0-9a-f]{12}$/

/** Removes what killed runs left beside a release. If one was killed between the two renames, the release gets its name back. */
async function endKilledRuns(folder: string, signal: AbortSignal | undefined): Promise<void> {
  await removeLeftovers(folder)
  for (const former of await formerReleases(folder)) {
    if (isRunning(formerPattern.exec(former)?.[1])) continue
    const isWhole = await requireReplaceable(former, signal).then(
      () => true,
      (error) => {
        if (error instanceof PipelineError && error.code === 'not-a-release') return false
        throw error
      },
    )
    if (!isWhole) continue
    if (await canAccess(folder)) await removeRelease(former)
    else await rename(former, folder)
  }
}

/** After a power cut, a file that was only written may be empty, and the release that it replaced is gone. */
async function flushRelease(folder: string): Promise<void> {
  const { files } = await listReleaseFolder(folder)
  for (const name of files) await flush(join(folder, name))
  for (const above of new Set(files.map((name) => dirname(join(folder, name))))) await flush(above)
}

async function swap(folder: string, staging: string): Promise<string | undefined> {
  const former = `${folder}.before-${process.pid}-${randomBytes(6).toString('hex')}`
  const hadOne = await rename(folder, former).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
  try {
    await rename(staging, folder)
  } catch (error) {
    if (hadOne) await rename(former, folder)
    throw error
  }
  await flush(dirname(folder))
  return hadOne ? removeRelease(former) : undefined
}

/** Removes what its record lists, then the folder if nothing else is in it; otherwise returns the folder. */
async function removeRelease(folder: string): Promise<string | undefined> {
  const own = (await namesOfRelease(folder)) ?? new Set<string>()
  const { files } = await listReleaseFolder(folder)
  // Last what says which files are the release's: if this is killed, the next run goes on.
  const last: readonly string[] = [releaseFiles.checksums.sha256, releaseFiles.record]
  const ordered = [
    ...files.filter((name) => !last.includes(name)),
    ...last.filter((name) => files.includes(name)),
  ]
  for (const name of ordered) if (isOwn(name, own)) await unlink(join(folder, name))
  await rmdir(join(folder, packagesFolder)).catch(() => undefined)
  return rmdir(folder).then(
    () => undefined,
    () => folder,
  )
}

/** The names of a release's files; undefined for a folder without a record. */
async function namesOfRelease(folder: string): Promise<ReadonlySet<string> | undefined> {
  const record = await findReleaseRecord(folder)
  return record && fileNamesOf(record)
}

/** In the package set, any name may belong to it: what counts is the checksum. */
function isOwn(name: string, own: ReadonlySet<string> | undefined): boolean {
  return own?.has(name) === true || isOfPackages(name)
}

/**
 * Whether a file is the one that was released. Anyone can write a record that lists one of the user's files by its name, but
 * the checksum requires the file itself.
 */
async function isAsReleased(
  folder: string,
  name: string,
  own: ReadonlySet<string>,
  { signal, sound }: { readonly signal: AbortSignal | undefined; readonly sound: SoundFiles },
): Promise<boolean> {
  const readList = async (list: string) =>
    parseChecksums(await readRegularText(join(folder, list)).catch(() => ''))
  const isList = Object.values<string>(releaseFiles.checksums).includes(name)
  if (isList) return [...(await readList(name)).keys()].every((listed) => isOwn(listed, own))
  if (unlistedFiles.includes(name)) return true
  const path = join(folder, name)
  const stamp = await stampOf(path)
  if (sound.get(name) === stamp) return true
  const isSound =
    (await readList(releaseFiles.checksums.sha256)).get(name) === (await sha256File(path, signal))
  if (isSound) sound.set(name, stamp)
  return isSound
}

function notARelease(folder: string, why: string): PipelineError {
  return new PipelineError({
    code: 'not-a-release',
    message: `${folder} exists and is not a release, or has other files in it: ${why}; nothing was replaced`,
    hint: 'give another folder with --to, or move away what is in it.',
    exitCode: exitCodes.badInput,
  })
}

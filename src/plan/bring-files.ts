/** Brings to hand what stages bring along: tarballs are unpacked, and fetched where they are a URL. Folders stay. */

import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { configurationError, type Fault } from '../config/faults.ts'
import { parseFileSource } from '../config/file-source.ts'
import type { ResolvedImage, ResolvedStage } from '../config/resolved.ts'
import { sha256, sha256File } from '../digest.ts'
import { writeDurably } from '../host/files.ts'
import { downloadTimeoutMs, get } from '../install/fetch.ts'
import { unpackTarball } from './tarball.ts'

/** Says what is wrong with a source, where everything that a person wrote about it is well-formed. */
class SourceFault extends Error {}

/**
 * The same images, with the files of every stage as folders.
 * @param cacheFolder tarballs are kept and unpacked there, by their sums
 * @throws PipelineError `configuration` with every fault found; `mirror-unreachable`
 */
export async function bringFiles(
  images: readonly ResolvedImage[],
  cacheFolder: string,
  signal?: AbortSignal,
): Promise<readonly ResolvedImage[]> {
  const faults: Fault[] = []
  // Variants share their files.
  const folders = new Map<string, Promise<string>>()
  const bring = async (stage: ResolvedStage): Promise<ResolvedStage> => {
    const files: Record<string, string> = {}
    for (const [name, text] of Object.entries(stage.files)) {
      try {
        const folder = folders.get(text) ?? bringFolder(text, join(cacheFolder, 'files'), signal)
        folders.set(text, folder)
        files[name] = await folder
        await checkTop(files[name], stage.filesTop[name])
      } catch (error) {
        if (!(error instanceof SourceFault)) throw error
        faults.push({ path: `stages.${stage.name}.files.${name}`, rule: error.message, found: text })
      }
    }
    return { ...stage, files }
  }
  const brought = []
  for (const image of images) {
    const stages = []
    for (const stage of image.stages) stages.push(await bring(stage))
    brought.push({ ...image, stages })
  }
  const different = new Map(faults.map((fault) => [JSON.stringify(fault), fault]))
  if (different.size > 0) throw configurationError([...different.values()])
  return brought
}

async function bringFolder(text: string, cache: string, signal: AbortSignal | undefined): Promise<string> {
  const source = parseFileSource(text)
  if (!source.isUrl && (await stat(source.location)).isDirectory()) return source.location
  await mkdir(cache, { recursive: true })
  const tarball = source.isUrl
    ? await download(source.location, source.sha256 as string, cache, signal)
    : source.location
  const sum = await sha256File(tarball)
  if (source.sha256 !== undefined && sum !== source.sha256)
    throw new SourceFault(`has another sha256, ${sum}`)
  const folder = join(cache, sum)
  const isThere = await stat(folder).catch(() => undefined)
  if (isThere === undefined) await unpackAt(tarball, folder, cache)
  return folder
}

/** Under its final name there is only what was unpacked as a whole. */
async function unpackAt(tarball: string, folder: string, cache: string): Promise<void> {
  const staging = await mkdtemp(join(cache, 'unpacking-'))
  try {
    const fault = await unpackTarball(tarball, staging)
    if (fault !== undefined) throw new SourceFault(fault)
    // Another build may have been faster, with the same content.
    await rename(staging, folder).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** Path of a tarball that was fetched, now or earlier, and has the sum. */
async function download(
  url: string,
  sum: string,
  cache: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const kept = join(cache, `${sum}.tar`)
  if ((await sha256File(kept).catch(() => undefined)) === sum) return kept
  const { status, body } = await get(url, 'GET', signal, downloadTimeoutMs)
  if (status !== 200) throw new SourceFault(`is answered by HTTP status ${status}`)
  const found = sha256(body)
  if (found !== sum) throw new SourceFault(`has another sha256, ${found}`)
  await writeDurably(kept, body)
  return kept
}

async function checkTop(folder: string, allowed: readonly string[] | undefined): Promise<void> {
  if (allowed === undefined) return
  const names = (await readdir(folder)).sort()
  const [strange] = names.filter((name) => !allowed.includes(name))
  if (names.length === 0) throw new SourceFault('is empty')
  if (strange !== undefined)
    throw new SourceFault(
      `has ${JSON.stringify(strange)} at its top, where only ${allowed.join(', ')} may be`,
    )
}

/** Provides one source of a stage's files as a folder, in the cache unless it already is a folder. */

import { copyFile, lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type FileKind, parseFileSource, type Sum } from '../config/file-source.ts'
import { canonicalJson, hashFile, listTree, sha256File } from '../digest.ts'
import { makeTemporaryFolder, writeDurably } from '../host/files.ts'
import { downloadTimeoutMs, get } from '../host/http.ts'
import { unlessMissing } from '../host/unless-missing.ts'
import {
  archiveName,
  digestSources,
  findSources,
  isPackedScripts,
  packingVersion,
  packScripts,
  type ScriptSources,
} from './cloudstack-scripts.ts'
import { SourceFault } from './source-fault.ts'
import { unpackTarball } from './tarball.ts'

/** What a stage says about one of its files, besides its location. */
export interface FileForm {
  readonly kind: FileKind
  /** Names that may be at its top level. @default any */
  readonly top: readonly string[] | undefined
  /** Date stamped on files packed along the way. */
  readonly sourceDateEpoch: number
}

/** What to do about a URL that the cache does not have. */
export type Missing = 'download' | 'leave out'

/**
 * Returns the folder; undefined for a URL that is not in the cache and is to be left out.
 * @throws SourceFault; PipelineError `mirror-unreachable`
 */
export async function bringSource(
  text: string,
  form: FileForm,
  cache: string,
  missing: Missing,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const source = parseFileSource(text)
  if (!source.isUrl && (await stat(source.location)).isDirectory())
    return bringFolder(source.location, form, cache)
  if (missing === 'leave out' && source.isUrl && source.sum !== undefined) {
    if (
      (await sumOf(keptName(cache, source.sum), source.sum.algorithm).catch(() => undefined)) !==
      source.sum.hex
    )
      return undefined
  }
  await mkdir(cache, { recursive: true })
  const file = await bringFile(source.location, source.isUrl, source.sum, cache, signal)
  const sum = await sha256File(file)
  if (form.kind === 'file') {
    const name = basename(source.isUrl ? new URL(source.location).pathname : source.location)
    return inStaging(cache, `${sum}-file`, async (staging) => {
      await copyFile(file, join(staging, name))
      return staging
    })
  }
  const name = form.kind === 'tree' ? sum : `${sum}-${packedSuffix(form)}`
  return inStaging(cache, name, (staging) => unpack(file, staging, form))
}

async function bringFolder(folder: string, form: FileForm, cache: string): Promise<string> {
  if (form.kind === 'file') throw new SourceFault('is a folder, but must be a file')
  const sources = form.kind === 'cloudstack' ? await findSources(folder) : undefined
  if (sources === undefined) {
    await checkTop(folder, form.top)
    return folder
  }
  await mkdir(cache, { recursive: true })
  const name = `${await digestSources(sources)}-${packedSuffix(form)}`
  return inStaging(cache, name, (staging) => pack(sources, staging, form))
}

/** For cached folders that hold packed scripts, packed here or already so in the source. */
const packedSuffix = ({ sourceDateEpoch }: FileForm) => `scripts${packingVersion}-${sourceDateEpoch}`

/** Path of the file, local or downloaded now or earlier, after checking its checksum. */
async function bringFile(
  location: string,
  isUrl: boolean,
  sum: Sum | undefined,
  cache: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (!isUrl || sum === undefined) {
    if (sum !== undefined) await requireSum(location, sum)
    return location
  }
  const kept = keptName(cache, sum)
  if ((await sumOf(kept, sum.algorithm).catch(() => undefined)) === sum.hex) return kept
  const { status, body } = await get(location, 'GET', signal, downloadTimeoutMs)
  if (status !== 200) throw new SourceFault(`is answered by HTTP status ${status}`)
  await writeDurably(kept, body)
  await requireSum(kept, sum).catch(async (error: unknown) => {
    await rm(kept)
    throw error
  })
  return kept
}

const keptName = (cache: string, sum: Sum) => join(cache, `${sum.hex}.tar`)

const sumOf = async (file: string, algorithm: Sum['algorithm']) =>
  (await hashFile(file, [algorithm]))[algorithm]

async function requireSum(file: string, { algorithm, hex }: Sum): Promise<void> {
  const found = await sumOf(file, algorithm)
  if (found !== hex) throw new SourceFault(`has another ${algorithm}, ${found}`)
}

/**
 * A cache folder with what its source stands for. That is made every time, since nothing else says what should be in the
 * folder; one that differs is replaced. It appears under its name only once complete.
 */
async function inStaging(
  cache: string,
  name: string,
  make: (staging: string) => Promise<string>,
): Promise<string> {
  const folder = join(cache, name)
  const staging = await makeTemporaryFolder(folder)
  try {
    const made = await make(staging)
    if (await isSameTree(made, folder)) return folder
    await rm(folder, { recursive: true, force: true })
    // Another build may have been faster, with the same content.
    await rename(made, folder).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
    return folder
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

async function isSameTree(made: string, folder: string): Promise<boolean> {
  const found = await unlessMissing(folder, () => listTree(folder))
  return found !== undefined && canonicalJson(found) === canonicalJson(await listTree(made))
}

/** The folder in `staging` with what a tarball stands for. */
async function unpack(tarball: string, staging: string, form: FileForm): Promise<string> {
  const tree = join(staging, 'tree')
  await mkdir(tree)
  const fault = await unpackTarball(tarball, tree)
  if (fault !== undefined) throw new SourceFault(fault)
  const sources = form.kind === 'cloudstack' ? await findSourcesIn(tree) : undefined
  if (sources !== undefined) return pack(sources, staging, form)
  await checkTop(tree, form.top)
  if (form.kind !== 'cloudstack' || !(await isPackedScripts(tarball, tree))) return tree
  const packed = join(staging, 'packed')
  await mkdir(packed)
  await copyFile(tarball, join(packed, archiveName))
  return packed
}

/** A release has one folder at its top, named after it. */
async function findSourcesIn(tree: string): Promise<ScriptSources | undefined> {
  const [name, ...others] = await readdir(tree)
  if (name === undefined || others.length > 0) return findSources(tree)
  return (await lstat(join(tree, name))).isDirectory() ? findSources(join(tree, name)) : undefined
}

async function pack(sources: ScriptSources, staging: string, form: FileForm): Promise<string> {
  const packed = join(staging, 'packed')
  await mkdir(packed)
  await packScripts(sources, join(packed, archiveName), form.sourceDateEpoch)
  return packed
}

async function checkTop(folder: string, allowed: readonly string[] | undefined): Promise<void> {
  if (allowed === undefined) return
  const names = (await readdir(folder)).sort()
  const [strange] = names.filter((name) => !allowed.includes(name))
  if (names.length === 0) throw new SourceFault('is empty')
  if (strange !== undefined)
    throw new SourceFault(
      `has ${JSON.stringify(strange)} at its top, where only ${allowed.join(', ')} are allowed`,
    )
}

/** Provides one source of a stage's files as a folder: in the cache, unless it already is a folder. */

import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Checksum, type FileKind, parseFileSource } from '../config/file-source.ts'
import { canonicalJson } from '../digest.ts'
import { PipelineError } from '../errors.ts'
import { copyLarge, makeFolder, makeTemporaryFolder } from '../host/files.ts'
import { hashFile, listTree, sha256File } from '../host/hash-file.ts'
import { download } from '../host/http.ts'
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
import { faultOfSize, mostFileBytes, SourceFault } from './source-fault.ts'
import { unpackTarball } from './tarball.ts'
import { faultOfTree } from './tree-faults.ts'

/** What a stage says about one of its files, apart from its location. */
export interface FileForm {
  readonly kind: FileKind
  /** Names allowed at its top level. @default any */
  readonly top: readonly string[] | undefined
  /** Date for files that are packed in the process. */
  readonly sourceDateEpoch: number
}

/** What to do about a URL that the cache does not have. */
export type Missing = 'download' | 'leave out'

/**
 * Returns the folder; undefined for a URL that is not in the cache and is to be left out.
 * @throws SourceFault; PipelineError `mirror-unreachable`, `download-too-large`, `download-encoded`
 */
export async function provideSource(
  text: string,
  form: FileForm,
  cache: string,
  missing: Missing,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const source = parseFileSource(text)
  if (!source.isUrl && (await stat(source.location)).isDirectory())
    return provideFolder(source.location, form, cache, signal)
  if (missing === 'leave out' && source.isUrl && source.checksum !== undefined) {
    if (
      (await checksumOf(keptName(cache, source.checksum), source.checksum.algorithm, signal).catch(
        () => undefined,
      )) !== source.checksum.hex
    )
      return undefined
  }
  await makeFolder(cache)
  const file = await provideFile(source.location, source.isUrl, source.checksum, cache, signal)
  const checksum = await sha256File(file, signal)
  const proved = { file, checksums: [{ algorithm: 'sha256', hex: checksum }, source.checksum] } as const
  if (form.kind === 'file') {
    const name = basename(source.isUrl ? new URL(source.location).pathname : source.location)
    return inStaging(cache, `${checksum}-file`, signal, async (staging) => {
      await copyProved(proved, join(staging, name), signal)
      return staging
    })
  }
  const name = form.kind === 'tree' ? checksum : `${checksum}-${packedSuffix(form)}`
  return inStaging(cache, name, signal, async (staging) => {
    const copy = join(staging, 'source')
    await copyProved(proved, copy, signal)
    return unpack(copy, staging, form, signal)
  })
}

/** Copies a file whose checksums are known: whoever can write to it may have put another one in its place since. */
async function copyProved(
  { file, checksums }: { readonly file: string; readonly checksums: readonly (Checksum | undefined)[] },
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await copyLarge(file, to, signal)
  for (const checksum of checksums) if (checksum !== undefined) await requireChecksum(to, checksum, signal)
}

async function provideFolder(
  folder: string,
  form: FileForm,
  cache: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (form.kind === 'file') throw new SourceFault('is a folder, but must be a file')
  const sources = form.kind === 'cloudstack' ? await findSources(folder) : undefined
  if (sources === undefined) {
    await checkTop(folder, form.top)
    await checkTree(folder)
    return folder
  }
  await checkTree(sources.tree)
  await checkTree(sources.utilities)
  await makeFolder(cache)
  const name = `${await digestSources(sources, signal)}-${packedSuffix(form)}`
  return inStaging(cache, name, signal, (staging) => pack(sources, staging, form))
}

/** For cached folders with packed scripts, whether packed here or already packed in the source. */
const packedSuffix = ({ sourceDateEpoch }: FileForm) => `scripts${packingVersion}-${sourceDateEpoch}`

/** Path of the file, local or downloaded (now or earlier), after verifying its checksum. */
async function provideFile(
  location: string,
  isUrl: boolean,
  checksum: Checksum | undefined,
  cache: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (!isUrl || checksum === undefined) {
    const fault = faultOfSize((await stat(location)).size)
    if (fault !== undefined) throw new SourceFault(`has ${fault}`)
    if (checksum !== undefined) await requireChecksum(location, checksum, signal)
    return location
  }
  const kept = keptName(cache, checksum)
  if ((await checksumOf(kept, checksum.algorithm, signal).catch(() => undefined)) === checksum.hex)
    return kept
  await download(location, kept, mostFileBytes, signal ?? new AbortController().signal).catch((error) => {
    const isStatus = error instanceof PipelineError && error.code === 'mirror-http-status'
    throw isStatus ? new SourceFault(`cannot be downloaded: HTTP status ${error.details.status}`) : error
  })
  await requireChecksum(kept, checksum, signal).catch(async (error: unknown) => {
    await rm(kept)
    throw error
  })
  return kept
}

const keptName = (cache: string, checksum: Checksum) => join(cache, `${checksum.hex}.tar`)

const checksumOf = async (file: string, algorithm: Checksum['algorithm'], signal: AbortSignal | undefined) =>
  (await hashFile(file, signal, [algorithm]))[algorithm]

async function requireChecksum(
  file: string,
  { algorithm, hex }: Checksum,
  signal: AbortSignal | undefined,
): Promise<void> {
  const found = await checksumOf(file, algorithm, signal)
  if (found !== hex) throw new SourceFault(`has a different ${algorithm}, ${found}`)
}

/**
 * A cache folder with the content of its source. The content is made every time, since nothing else says what should be in
 * the folder; a folder that differs is replaced. It gets its name only once it is complete.
 */
async function inStaging(
  cache: string,
  name: string,
  signal: AbortSignal | undefined,
  make: (staging: string) => Promise<string>,
): Promise<string> {
  const folder = join(cache, name)
  const staging = await makeTemporaryFolder(folder)
  try {
    const made = await make(staging)
    if (await isSameTree(made, folder, signal)) return folder
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

async function isSameTree(made: string, folder: string, signal: AbortSignal | undefined): Promise<boolean> {
  const found = await unlessMissing(folder, () => listTree(folder, signal))
  return found !== undefined && canonicalJson(found) === canonicalJson(await listTree(made, signal))
}

/** The folder in `staging` with the content of a tarball. */
async function unpack(
  tarball: string,
  staging: string,
  form: FileForm,
  signal: AbortSignal | undefined,
): Promise<string> {
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
  await copyLarge(tarball, join(packed, archiveName), signal)
  return packed
}

/** A release has one top-level folder, named after it. */
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

async function checkTree(folder: string): Promise<void> {
  const fault = await faultOfTree(folder)
  if (fault !== undefined) throw new SourceFault(fault)
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

/** CloudStack's scripts for the guest: finds them in its sources, and packs them the way its own build does. */

import { chmod, lstat, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { canonicalJson, sha256 } from '../digest.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { bytesOf } from '../host/execa.ts'
import { copyLarge, makeFolder } from '../host/files.ts'
import { listTree } from '../host/hash-file.ts'
import { NotReadable, openToRead } from '../host/regular-file.ts'
import { writeFile } from '../host/writing.ts'
import { SourceFault } from './source-fault.ts'

/** Name of the archive, in CloudStack's packages and in the guest. */
export const archiveName = 'cloud-scripts.tgz'

/** Raised when packing changes, so that earlier archives of the same sources are no longer used. */
export const packingVersion = 1

/** What the build packs. */
export interface ScriptSources {
  /** `systemvm/debian`, the tree that is copied over the guest's root. */
  readonly tree: string
  /** `scripts/util`: its `keystore-*` files go to `opt/cloud/bin`. */
  readonly utilities: string
}

/** Only CloudStack's first boot has the former, and only its build adds the latter. */
const bootstrap = 'opt/cloud/bin/setup/bootstrap.sh'
const keystoreSetup = 'opt/cloud/bin/keystore-setup'

/** Some of the folders at the top of CloudStack's sources. */
const topOfSources = ['agent', 'api', 'engine', 'packaging', 'plugins', 'scripts', 'server', 'systemvm']

/**
 * Finds what to pack in a checkout of CloudStack, or around its `systemvm/debian`.
 * @returns undefined for a folder that is neither
 * @throws SourceFault if it is one but incomplete
 */
export async function findSources(folder: string): Promise<ScriptSources | undefined> {
  const resolved = await realpath(folder)
  const isTree = resolved.endsWith(`${sep}systemvm${sep}debian`)
  const root = isTree ? dirname(dirname(resolved)) : resolved
  const sources = { tree: join(root, 'systemvm', 'debian'), utilities: join(root, 'scripts', 'util') }
  if (await isFolder(sources.tree)) {
    const utilities = await readdir(sources.utilities).catch((): string[] => [])
    // A link in an untrusted tarball may lead anywhere on this host.
    for (const path of [sources.tree, sources.utilities])
      if ((await realpath(path).catch(() => path)) !== path)
        throw new SourceFault(`has a link where ${relative(root, path)} should be a folder`)
    if (utilities.includes('keystore-setup')) return sources
    if (isTree) return undefined
    throw new SourceFault(
      'has systemvm/debian in it, but no scripts/util/keystore-setup, which belongs to it',
    )
  }
  const top = await readdir(resolved)
  if (topOfSources.filter((name) => top.includes(name)).length < 3) return undefined
  throw new SourceFault("looks like CloudStack's sources, but has no systemvm/debian in it")
}

/** Digest that depends only on the content. */
export async function digestSources(
  { tree, utilities }: ScriptSources,
  signal: AbortSignal | undefined,
): Promise<string> {
  return sha256(canonicalJson([await listTree(tree, signal), await listTree(utilities, signal)]))
}

/** Whether a tarball was packed by CloudStack's build: if so, its exact bytes are what is signed. */
export async function isPackedScripts(tarball: string, unpacked: string): Promise<boolean> {
  const file = await openToRead(tarball)
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0)
    // The guest only unpacks it with gzip.
    if (buffer.toString('hex') !== '1f8b') return false
  } finally {
    await file.close()
  }
  return (await isFile(join(unpacked, bootstrap))) && (await isFile(join(unpacked, keystoreSetup)))
}

/** Whether the files of a stage are CloudStack's own first boot, packed or as a tree. */
export async function isCloudStacks(folder: string): Promise<boolean> {
  return (await isFile(join(folder, archiveName))) || (await isFile(join(folder, bootstrap)))
}

/** Packs sources into `archive`: the same content gives the same bytes, regardless of the checkout's timestamps and modes. */
export async function packScripts(
  { tree, utilities }: ScriptSources,
  archive: string,
  sourceDateEpoch: number,
): Promise<void> {
  const staging = await mkdtemp(join(dirname(archive), 'packing-'))
  try {
    const programs = join(staging, 'opt', 'cloud', 'bin')
    await copyAsPacked(tree, staging)
    await makeFolder(programs)
    for (const name of await readdir(utilities))
      if (name.startsWith('keystore-')) await copyEntry(join(utilities, name), join(programs, name), name)
    const fixed = ['--owner=0', '--group=0', '--numeric-owner', `--mtime=@${sourceDateEpoch}`]
    const names = (await readdir(staging)).sort()
    const limits = { timeout: 60_000, ...bareEnvironment() }
    // Names have no leading folder, as all readers of the archive expect.
    const words = [
      '--create',
      '--directory',
      staging,
      '--format=gnu',
      '--sort=name',
      ...fixed,
      '--',
      ...names,
    ]
    const tar = await bytesOf('tar', words, limits)
    await writeFile(archive, await bytesOf('gzip', ['-9', '--no-name'], { ...limits, input: tar }))
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

// --- internal ---

/** What CloudStack's build leaves out: a few names of its own, and ant's default excludes. */
const leftOut =
  /^(\.classpath|\.project|wscript_build|\.(git|svn|hg|bzr)(attributes|ignore|modules|tags|sub|substate)?|CVS|\.cvsignore|SCCS|vssver\.scm|\.DS_Store)$|~$|^#.*#$|^\.#|^%.*%$|^\._/

async function copyAsPacked(from: string, to: string, path = ''): Promise<void> {
  await makeFolder(to)
  await chmod(to, 0o755)
  for (const name of await readdir(from)) {
    if (leftOut.test(name)) continue
    await copyEntry(join(from, name), join(to, name), path === '' ? name : `${path}/${name}`)
  }
}

async function copyEntry(from: string, to: string, path: string): Promise<void> {
  const found = await lstat(from)
  if (found.isDirectory()) return copyAsPacked(from, to, path)
  // In an untrusted tarball, a link's target may be anywhere on this host.
  const odd = new SourceFault(`has ${path} among the files to pack, which is neither a file nor a folder`)
  if (!found.isFile()) throw odd
  await copyLarge(from, to, undefined).catch((error: unknown) => {
    throw error instanceof NotReadable ? odd : error
  })
  await chmod(to, modeOf(path))
}

/** Everything is executable except logging configuration. */
function modeOf(path: string): number {
  const names = path.split('/')
  const isOfLogs = names.at(-1)?.startsWith('log') || names.slice(0, -1).includes('logrotate.d')
  return isOfLogs ? 0o644 : 0o755
}

const isFile = async (path: string) => (await stat(path).catch(() => undefined))?.isFile() ?? false
const isFolder = async (path: string) => (await stat(path).catch(() => undefined))?.isDirectory() ?? false

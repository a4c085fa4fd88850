/**
 * The installer `bootstrap`: mmdebstrap in a user namespace, then one filesystem per partition. It needs no root and only
 * .deb files, so any mirror will do. It installs at native speed, ten times as fast as an emulated guest.
 */

import { appendFile, chmod, copyFile, lstat, mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResolvedImage } from '../../config/resolved.ts'
import { archivesOf, renderSetSourceLines } from '../../debian/archives.ts'
import { type PackageSet, requireAll } from '../../debian/package-set.ts'
import { startSetServer } from '../../debian/set-server.ts'
import { imageNode } from '../../disk/block-node.ts'
import type { Layout } from '../../disk/layout.ts'
import { convertImage } from '../../disk/qemu-img.ts'
import { PipelineError, shownLines } from '../../errors.ts'
import { freeBytes, makeFolder } from '../../host/files.ts'
import { isForeign } from '../../host/foreign.ts'
import { runMarker, startGroup } from '../../host/process.ts'
import { removeTree } from '../../host/remove-tree.ts'
import { temporaryFolderIn } from '../../host/run-folder.ts'
import { findWorkFolder } from '../../host/work-folder.ts'
import type { PackageChange } from '../../report/report.ts'
import { bootstrapCommand, bootstrapScripts } from './command.ts'
import { offerPackages } from './offered-packages.ts'

export interface BootstrapRequest {
  readonly image: ResolvedImage
  readonly layout: Layout
  /** qcow2 file to make. */
  readonly disk: string
  /** Folder that keeps downloaded packages between runs. */
  readonly packageCache: string
  /** Source of packages and indexes, instead of a mirror. */
  readonly packages?: PackageSet | undefined
  readonly log: string
  readonly runId: string
  readonly onProgress: (text: string) => void
  /** Called with a line about cached packages that are not used. */
  readonly onNote: (text: string) => void
  /** Called with the work folder before it is created. */
  readonly onFolder: (path: string) => Promise<void>
  readonly signal: AbortSignal
}

/** Makes layer 0. */
export async function bootstrap(request: BootstrapRequest): Promise<PackageChange> {
  const { signal } = request
  // The namespace's root is another user, who cannot enter a private home folder.
  const work = temporaryFolderIn(await findWorkFolder())
  await request.onFolder(work)
  try {
    await mkdir(work)
    await chmod(work, 0o711)
    // Accessible to the namespace's root, and therefore to everyone. The name protects it: it is unguessable, and neither
    // listings nor argv show it.
    const shared = await mkdtemp(join(work, 'shared-'))
    await chmod(shared, 0o777)
    for (const script of bootstrapScripts(request.image))
      await copyFile(script, join(work, script.pathname.split('/').at(-1) ?? ''))
    const raw = join(shared, 'disk.raw')
    await makeFolder(request.packageCache)
    const offered = await offerPackages(request)
    await install({ ...request, packageCache: offered.folder }, work, raw).finally(offered.close)
    await chmod(shared, 0o700)
    for (const file of [raw, `${raw}.packages`]) {
      if (!(await lstat(file)).isFile())
        throw new Error(`${file} is not the file that mmdebstrap's hook made`)
    }
    signal.throwIfAborted()
    request.onProgress('writing the disk')
    await convertImage({ from: imageNode('raw', raw), to: request.disk, format: 'qcow2' }, signal)
    const packages = parsePackages(await readFile(`${raw}.packages`, 'utf8'))
    return { added: packages, removed: [], upgraded: [] }
  } finally {
    await removeTree(work)
  }
}

/** Runs mmdebstrap, with a mirror or a package set. */
async function install(request: BootstrapRequest, work: string, raw: string): Promise<void> {
  const { image, packages, signal } = request
  if (packages === undefined) return runMmdebstrap(request, { work, raw })
  const server = await startSetServer(packages, archivesOf(image), signal)
  try {
    await runMmdebstrap(request, { work, raw, proxy: `http://127.0.0.1:${server.port}` })
  } catch (error) {
    if (!signal.aborted) requireAll(packages.folder, server.missing())
    throw error
  } finally {
    server.close()
  }
}

interface Surroundings {
  readonly work: string
  readonly raw: string
  /** The server of a package set. */
  readonly proxy?: string
}

async function runMmdebstrap(request: BootstrapRequest, { work, raw, proxy }: Surroundings): Promise<void> {
  const { image, packageCache, log, runId, signal } = request
  const sources = proxy === undefined ? undefined : renderSetSourceLines(image)
  const paths = { scripts: work, packageCache, disk: raw, sources }
  const command = bootstrapCommand(image, request.layout, paths, isForeign(image.arch))
  // The log's disk may be full.
  const lastLines: string[] = []
  const mmdebstrap = startGroup('mmdebstrap', command.words, {
    extendEnv: false,
    env: {
      ...hostEnvironment(process.env),
      ...command.environment,
      ...(proxy === undefined ? {} : { http_proxy: proxy, no_proxy: '' }),
      TMPDIR: work,
      LC_ALL: 'C.UTF-8',
      [runMarker]: runId,
    },
    onLine: (line) => {
      lastLines.push(line)
      if (lastLines.length > keptLines) lastLines.shift()
      appendFile(log, `${line}\n`).catch(() => undefined)
      const step = /^I: (.*)$/.exec(line)?.[1]
      if (step !== undefined && !/hook|tempdir|^skipping/.test(step)) request.onProgress(step)
    },
  })
  const abort = () => void mmdebstrap.stop(5000)
  signal.addEventListener('abort', abort, { once: true })
  const result = await mmdebstrap.ended
  signal.removeEventListener('abort', abort)
  signal.throwIfAborted()
  if (result.exitCode !== 0) {
    const details = { lastLines: lastLines.slice(-shownLines), log }
    if (lastLines.some((line) => noSpace.test(line))) throw await bootstrapFull(packageCache, details)
    throw new PipelineError({
      code: 'bootstrap-failed',
      message: `the installer bootstrap failed: mmdebstrap ended with ${result.exitCode ?? result.signal}`,
      hint: `the last lines below say why; the whole log is ${log}`,
      details,
    })
  }
}

/**
 * What mmdebstrap gets of our environment. Package scripts see all of it, and read the names that they know: with a `ROOT` of the
 * user's, mkinitramfs would write that into the initramfs, and with `COMPRESS` choose another compressor.
 */
export function hostEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const isPassed = (name: string) =>
    /^(PATH|HOME|USER|LOGNAME|APT_CONFIG)$|^(all|no|https?|ftp)_proxy$/i.test(name)
  return Object.fromEntries(
    Object.entries(environment).filter(
      (pair): pair is [string, string] => pair[1] !== undefined && isPassed(pair[0]),
    ),
  )
}

/** mmdebstrap prints a lot while it cleans up. */
const keptLines = 200

/** How dpkg, tar and apt report a full disk. */
const noSpace = /No space left on device|enough free space/

/** mmdebstrap has already removed its files in the work folder, but not those in the cache. */
async function bootstrapFull(
  packageCache: string,
  details: Readonly<Record<string, unknown>>,
): Promise<PipelineError> {
  const isCacheFull = (await freeBytes(packageCache)) < 16 * 1024 ** 2
  const folder = isCacheFull ? packageCache : await findWorkFolder()
  const elsewhere = isCacheFull ? '' : ', or name a folder on another disk with TMPDIR'
  return new PipelineError({
    code: 'disk-full',
    message: `the disk that holds ${folder} is full: layer 0 could not be made`,
    hint: `free some space there${elsewhere}, and run the build again: downloaded packages are kept.`,
    details,
  })
}

/** Parses lines from `dpkg-query` with name, version and status. */
export function parsePackages(text: string): { readonly name: string; readonly version: string }[] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , status]) => status?.startsWith('i'))
    .map(([name = '', version = '']) => ({ name, version }))
}

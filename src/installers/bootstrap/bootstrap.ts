/**
 * The installer `bootstrap`: mmdebstrap in a user namespace, then a file system filled per partition. It needs no root
 * and nothing but .deb files, so any mirror will do, and it installs at native speed what an emulated guest would
 * take ten times as long for.
 */

import { randomBytes } from 'node:crypto'
import { appendFile, chmod, copyFile, lstat, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResolvedImage } from '../../config/resolved.ts'
import { renderSourceLines, renderSources } from '../../debian/archives.ts'
import { imageNode } from '../../disk/block-node.ts'
import { type Layout, renderFstab, renderSfdisk, sectorBytes } from '../../disk/layout.ts'
import { convertImage } from '../../disk/qemu-img.ts'
import { PipelineError } from '../../errors.ts'
import { freeBytes } from '../../host/files.ts'
import { runFile, runMarker, startGroup } from '../../host/process.ts'
import { quote } from '../../host/shell-words.ts'
import type { PackageChange } from '../../report/report.ts'
import { basePackages, dpkgExcludes, initramfsSettings, initramfsSettingsFile } from '../installer.ts'

export interface BootstrapRequest {
  readonly image: ResolvedImage
  readonly layout: Layout
  /** qcow2 file to make. */
  readonly disk: string
  /** Folder that keeps downloaded packages between runs. */
  readonly packageCache: string
  readonly log: string
  readonly runId: string
  readonly onProgress: (text: string) => void
  /** Told of the folder that everything is made in, before anything is. */
  readonly onFolder: (path: string) => Promise<void>
  readonly signal: AbortSignal
}

const asset = (name: string) => new URL(`./${name}`, import.meta.url)

/** Scripts whose content decides what the base is; part of its key. */
export const bootstrapScripts = ['prepare.sh', 'customize.sh', 'make-disk.sh'].map(asset)

/** Where layer 0 is made. The namespace's root is another user: it can't go through a home folder that is closed to others. */
export function workFolder(): string {
  return process.env.TMPDIR || '/var/tmp'
}

/** Makes layer 0. */
export async function bootstrap(request: BootstrapRequest): Promise<PackageChange> {
  const { signal } = request
  const work = join(workFolder(), `systemvm-image-${randomBytes(6).toString('hex')}`)
  await request.onFolder(work)
  try {
    await mkdir(work)
    await chmod(work, 0o711)
    // Open to the namespace's root and so to everybody: what protects it is a name that nobody can list or see in argv.
    const shared = await mkdtemp(join(work, 'shared-'))
    await chmod(shared, 0o777)
    for (const script of bootstrapScripts)
      await copyFile(script, join(work, script.pathname.split('/').at(-1) ?? ''))
    const raw = join(shared, 'disk.raw')
    await runMmdebstrap(request, work, raw)
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

async function runMmdebstrap(request: BootstrapRequest, work: string, raw: string): Promise<void> {
  const { image, packageCache, log, runId, signal } = request
  await mkdir(packageCache, { recursive: true })
  // mmdebstrap splits its own hooks as a shell does.
  const hook = (name: string) => `ROOT="$1" sh ${quote(join(work, name))}`
  // The log is on a disk that may be full.
  const lastLines: string[] = []
  const mmdebstrap = startGroup(
    'mmdebstrap',
    [
      '--mode=unshare',
      '--variant=apt',
      `--architectures=${image.debianArch}`,
      `--keyring=${image.mirror.keyring}`,
      `--include=${basePackages(image).join(',')}`,
      // The lists stay, so that the guest's own update need only ask what is new.
      '--skip=cleanup/apt/lists,download/empty,essential/unlink',
      `--setup-hook=${hook('prepare.sh')}`,
      '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
      `--setup-hook=sync-in ${quote(packageCache)} /var/cache/apt/archives`,
      `--customize-hook=sync-out /var/cache/apt/archives ${quote(packageCache)}`,
      `--customize-hook=${'rm -rf "$1"/var/cache/apt/archives/*.deb'}`,
      `--customize-hook=${hook('customize.sh')}`,
      `--customize-hook=${hook('make-disk.sh')}`,
      image.suite,
      '/dev/null',
      ...renderSourceLines(image),
    ],
    {
      env: { ...hookEnvironment(request, raw), TMPDIR: work, LC_ALL: 'C.UTF-8', [runMarker]: runId },
      onLine: (line) => {
        lastLines.push(line)
        if (lastLines.length > keptLines) lastLines.shift()
        appendFile(log, `${line}\n`).catch(() => undefined)
        const step = /^I: (.*)$/.exec(line)?.[1]
        if (step !== undefined && !/hook|tempdir|^skipping/.test(step)) request.onProgress(step)
      },
    },
  )
  const abort = () => void mmdebstrap.stop(5000)
  signal.addEventListener('abort', abort, { once: true })
  const result = await mmdebstrap.ended
  signal.removeEventListener('abort', abort)
  signal.throwIfAborted()
  if (result.exitCode !== 0) {
    const details = { lastLines: lastLines.slice(-20), log }
    if (lastLines.some((line) => noSpace.test(line))) throw await bootstrapFull(packageCache, details)
    throw new PipelineError({
      code: 'bootstrap-failed',
      message: `the installer bootstrap failed: mmdebstrap ended with ${result.exitCode ?? result.signal}`,
      hint: `the last lines below say why; the whole log is ${log}`,
      details,
    })
  }
}

/** mmdebstrap says much while it clears up. */
const keptLines = 200

/** How dpkg, tar and apt say that a disk is full. */
const noSpace = /No space left on device|enough free space/

/** What mmdebstrap had in the work folder is gone by now; what it had in the cache is not. */
async function bootstrapFull(
  packageCache: string,
  details: Readonly<Record<string, unknown>>,
): Promise<PipelineError> {
  const isCacheFull = (await freeBytes(packageCache)) < 16 * 1024 ** 2
  const folder = isCacheFull ? packageCache : workFolder()
  const elsewhere = isCacheFull ? '' : ', or name a folder on another disk with TMPDIR'
  return new PipelineError({
    code: 'disk-full',
    message: `the disk that holds ${folder} is full: layer 0 could not be made`,
    hint: `make room there${elsewhere}, and run the build again: downloaded packages are kept.`,
    details,
  })
}

function hookEnvironment({ image, layout }: BootstrapRequest, raw: string): Record<string, string> {
  const partitions = [...layout.partitions].sort((a, b) => (b.mount ?? '').length - (a.mount ?? '').length)
  return {
    DPKG_EXCLUDES: dpkgExcludes.join('\n'),
    INITRAMFS_SETTINGS: initramfsSettings(image.disk).join('\n'),
    INITRAMFS_SETTINGS_FILE: initramfsSettingsFile,
    FSTAB: renderFstab(layout),
    HOSTNAME_SHORT: image.hostname,
    DOMAIN: image.domain,
    TIMEZONE: image.timezone,
    LOCALE: image.locale,
    KEYBOARD: image.keyboard,
    ACCOUNT_NAME: image.account.name,
    ACCOUNT_FULL_NAME: image.account.fullName,
    ACCOUNT_GROUPS: image.account.groups.join(' '),
    SOURCES: renderSources(image),
    DISK: raw,
    DISK_BYTES: `${layout.sizeBytes}`,
    SFDISK_INPUT: renderSfdisk(layout),
    PARTITIONS: partitions
      .map(({ startSector, sectors, filesystem, uuid, reservedPercent, mount }) =>
        [
          startSector * sectorBytes,
          sectors * sectorBytes,
          filesystem,
          uuid,
          reservedPercent,
          mount ?? '-',
        ].join(' '),
      )
      .join('\n'),
  }
}

/** Parses `dpkg-query`'s lines of name, version and status. */
export function parsePackages(text: string): { readonly name: string; readonly version: string }[] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , status]) => status?.startsWith('i'))
    .map(([name = '', version = '']) => ({ name, version }))
}

/** Removes a tree whose files may belong to the namespace's users. */
export async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() =>
    runFile('mmdebstrap', ['--unshare-helper', 'rm', '-rf', folder]).catch(() => undefined),
  )
  await rm(folder, { recursive: true, force: true }).catch(() => undefined)
}

/** The installer `debian-installer`: Debian's own, in a machine that Packer boots, answered by a preseed. */

import { dirname, join } from 'node:path'
import type { ResolvedImage } from '../../config/resolved.ts'
import { mainArchiveOf } from '../../debian/archives.ts'
import { readPackages } from '../../debian/dpkg-status.ts'
import { fetchPackageIndex } from '../../debian/packages-index.ts'
import type { CpioEntry } from '../../disk/cpio.ts'
import { openDisk } from '../../disk/disk-files.ts'
import type { Layout } from '../../disk/layout.ts'
import { createDisk } from '../../disk/qemu-img.ts'
import { PipelineError } from '../../errors.ts'
import { temporaryName } from '../../host/files.ts'
import { sha256File } from '../../host/hash-file.ts'
import { outFolderAt } from '../../host/out-folder.ts'
import { readRegular } from '../../host/regular-file.ts'
import type { RunFolder } from '../../host/run-folder.ts'
import { createScratchFolder } from '../../host/scratch-folder.ts'
import { findWorkFolder } from '../../host/work-folder.ts'
import type { PackerDialect } from '../../packer/template.ts'
import { bootsOfEmulatedGuest } from '../../qemu/accelerator.ts'
import type { Acceleration } from '../../qemu/machine.ts'
import type { PackageChange } from '../../report/report.ts'
import { readLayout } from '../found-layout.ts'
import { checkPreseed } from './check-preseed.ts'
import { findDisc } from './disc.ts'
import { namedHosts } from './extra-answers.ts'
import { installerDiskDiffers } from './failures.ts'
import { renderImagePreseed } from './image-preseed.ts'
import { questionsFile, unknownAnswers } from './installed-disk.ts'
import { findNetboot, type InstallerMedium, type NetbootRequest } from './netboot.ts'
import type { InstallerPhase } from './phases.ts'
import { installerKernelArguments } from './preseed.ts'
import { type InstallerRequest, installerLogs, runInstaller } from './run.ts'

export interface DebianRequest {
  readonly image: ResolvedImage
  /** qcow2 file to make. */
  readonly disk: string
  readonly runFolder: RunFolder
  /** Folder that keeps downloaded packages between runs. */
  readonly packageCache: string
  readonly packer: PackerDialect
  readonly acceleration: (kernel: string) => Promise<Acceleration>
  readonly onPhase: (phase: InstallerPhase) => void
  readonly onProgress: (text: string) => void
  readonly onNote: (text: string) => void
  /** Called with the scratch folder, for sockets and similar files, before it is created. */
  readonly onFolder: (path: string) => Promise<void>
  readonly signal: AbortSignal
}

export interface InstalledDebian {
  readonly packages: PackageChange
  /** Where the installer put the partitions. */
  readonly layout: Layout
  /** SHA-256 of the booted files, by name: `linux`, `initrd.gz`, and `disc` if they came from one. */
  readonly installerFiles: Readonly<Record<string, string>>
}

/** Makes layer 0. @throws PipelineError `installer-*`, `preseed-*`, and the codes for a refused mirror */
export async function installDebian(request: DebianRequest): Promise<InstalledDebian> {
  const { image, runFolder, disk, signal } = request
  await checkPreseed(renderImagePreseed(image), signal)
  const cacheFolder = outFolderAt(runFolder.outFolder).cache.netboot
  const medium = await findMedium(image, { cacheFolder, onProgress: request.onProgress, signal })
  const installerFiles = await digestMedium(medium, signal)
  request.onProgress(`booting ${medium.source}`)
  const acceleration = await request.acceleration(medium.kernel)
  const overlay = [await trustedKeys(image)]
  const mirror = await reachMirror(request)
  await runSteadily(request, { medium, mirror, acceleration, overlay })
  request.onProgress('reading the disk')
  const installed = await readInstalled(image, disk, runFolder, request.onNote, signal)
  return { ...installed, installerFiles }
}

async function digestMedium(
  { kernel, initrd, disc }: InstallerMedium,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  return {
    linux: await sha256File(kernel, signal),
    'initrd.gz': await sha256File(initrd, signal),
    ...(disc === undefined ? {} : { disc: await sha256File(disc, signal) }),
  }
}

/** A disc, if one is configured; netboot files otherwise. */
function findMedium(image: ResolvedImage, options: Omit<NetbootRequest, 'image'>): Promise<InstallerMedium> {
  const { iso } = image.debianInstaller
  return iso === undefined ? findNetboot({ image, ...options }) : findDisc({ iso, image, ...options })
}

interface Installation {
  readonly medium: InstallerMedium
  readonly mirror: InstallerRequest['mirror']
  readonly acceleration: Acceleration
  readonly overlay: readonly CpioEntry[]
}

/** What the guest may reach, with the package cache that the other installer also uses. */
async function reachMirror(request: DebianRequest): Promise<InstallerRequest['mirror']> {
  const { image, packageCache } = request
  let isNoted = false
  return {
    mirror: image.mirror.debian,
    otherHosts: namedHosts(image.debianInstaller.extraAnswers),
    packages: {
      index: await readPackageIndex(request),
      folder: packageCache,
      // If this run is killed, the next one removes what is left here.
      workFolder: temporaryName(join(dirname(packageCache), 'installer-packages')),
      onFault: (text) => {
        if (!isNoted) request.onNote(text)
        isNoted = true
      },
    },
  }
}

/** The installer finds indexes by itself: without this one, packages are downloaded but not kept. */
async function readPackageIndex({ image, onNote, signal }: DebianRequest): Promise<string> {
  try {
    return await fetchPackageIndex(mainArchiveOf(image), { signal })
  } catch (cause) {
    if (!(cause instanceof PipelineError)) throw cause
    onNote(`packages are not kept: ${cause.message}`)
    return ''
  }
}

/** Boots again if the emulated processor, not the installer, caused a panic. */
async function runSteadily(request: DebianRequest, installation: Installation, boots = 1): Promise<void> {
  let phase: InstallerPhase = 'network'
  const onPhase = (next: InstallerPhase) => {
    phase = next
    request.onPhase(next)
  }
  try {
    await runOnce({ ...request, onPhase }, installation)
  } catch (error) {
    const isPanic = error instanceof PipelineError && error.code === 'guest-panicked'
    const isEmulated = installation.acceleration.accelerator === 'tcg'
    if (!isPanic || phase !== 'network' || !isEmulated || boots === bootsOfEmulatedGuest) throw error
    request.onNote(`${error.message}; it is booted again`)
    await runSteadily(request, installation, boots + 1)
  }
}

async function runOnce(request: DebianRequest, installation: Installation): Promise<void> {
  const { image, disk, runFolder, signal } = request
  await createDisk(disk, image.disk.sizeMiB * 1024 ** 2, signal)
  const scratch = await createScratchFolder(request.onFolder)
  try {
    await runInstaller(
      {
        ...installation,
        variant: image.variant,
        name: image.name,
        machine: image.machine,
        packer: request.packer,
        preseed: (host) => renderImagePreseed(image, host),
        kernelArguments: (host) => installerKernelArguments(image, host),
        disk,
        runFolder,
        onPhase: request.onPhase,
        onProgress: request.onProgress,
        signal,
      },
      scratch,
    )
  } finally {
    await scratch.remove()
  }
}

/**
 * The installer's keys: this host's, as everywhere else in this program. Its udebs may be signed with other keys than the
 * packages that it installs, and it has a single file for both.
 */
export async function trustedKeys({ mirror }: ResolvedImage): Promise<CpioEntry> {
  const keyrings = new Set([mirror.keyring, mirror.udebs?.keyring ?? mirror.keyring])
  const content = Buffer.concat(await Promise.all([...keyrings].map((keyring) => readRegular(keyring))))
  return { path: 'usr/share/keyrings/archive.gpg', mode: 0o644, content }
}

/**
 * Compares the installer's result with the request: the installer silently ignores a recipe that it cannot use, and questions
 * that it does not know.
 */
async function readInstalled(
  image: ResolvedImage,
  disk: string,
  runFolder: RunFolder,
  onNote: (text: string) => void,
  signal: AbortSignal,
): Promise<Omit<InstalledDebian, 'installerFiles'>> {
  const files = await openDisk(disk, { format: 'qcow2', workFolder: await findWorkFolder(), signal })
  try {
    const { layout, differences } = readLayout(image.disk, files)
    if (differences.length > 0) throw installerDiskDiffers(differences, installerLogs(runFolder.path).syslog)
    const asked = await files.read(questionsFile)
    const ofPackages = image.debianInstaller.extraAnswers.filter(({ owner }) => owner !== 'd-i')
    const unknown = unknownAnswers(
      asked?.toString() ?? '',
      new Set(ofPackages.map(({ question }) => question)),
    )
    if (unknown.length > 0) {
      onNote(`debian-installer has no question ${unknown.join(', ')}: the answer has no effect`)
    }
    const added = [...(await readPackages(files)).values()].map(({ name, version }) => ({ name, version }))
    return { packages: { added, removed: [], upgraded: [] }, layout }
  } finally {
    await files.close()
  }
}

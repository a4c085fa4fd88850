/** The installer `disk-image`: layer 0 is an existing disk image, checked and written as a layer. */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileSource } from '../../config/file-source.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { sha256 } from '../../digest.ts'
import { type BlockNode, fileNode } from '../../disk/block-node.ts'
import { openDisk } from '../../disk/disk-files.ts'
import type { ImageFile } from '../../disk/image-file.ts'
import { convertImage, growDisk, QemuImgError } from '../../disk/qemu-img.ts'
import { convertArguments, growArguments } from '../../disk/qemu-img-arguments.ts'
import { unreadableDisk } from '../../disk/unreadable.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { isNoSpace } from '../../host/failures.ts'
import { outFolderAt } from '../../host/out-folder.ts'
import { noteFolder, temporaryFolderIn } from '../../host/run-folder.ts'
import { touchOf } from '../../host/touch.ts'
import { findWorkFolder } from '../../host/work-folder.ts'
import { writeFile } from '../../host/writing.ts'
import { redact } from '../../redact.ts'
import { baseFacts } from '../base-system.ts'
import type { InstalledBase, Installer, InstallRequest, KeyParts } from '../installer.ts'
import { adoptionStage } from './adoption.ts'
import { examineImage } from './examine.ts'
import { openImageFile } from './open-image.ts'
import { digestOfSource, provideImage } from './provide-image.ts'

export const diskImageInstaller: Installer = {
  name: 'disk-image',
  placesPartitions: true,
  keyParts,
  install,
  stages: (image) => [adoptionStage(image)],
}

function sourceOf({ baseImage }: ResolvedImage): FileSource {
  if (baseImage === undefined) throw new Error('an image of the installer disk-image has a base image')
  return baseImage
}

async function keyParts(image: ResolvedImage, signal?: AbortSignal): Promise<KeyParts> {
  const { suite, arch, disk } = baseFacts(image)
  const command = renderCommands(fileNode('/image'), '/layer.qcow2', image)
  return {
    parts: {
      suite,
      arch,
      disk: disk ?? null,
      image: await digestOfSource(sourceOf(image), mostBytesOf(image), signal),
      scripts: [],
      command: sha256(command),
    },
    sources: [{ name: 'the commands of qemu-img', text: command }],
  }
}

/** Size of the layer's disk, to which the image's disk is extended; the last partition grows at first boot. */
const sizeOf = ({ disk }: ResolvedImage) => disk.sizeMiB * 1024 ** 2

/** Limit for the image file: no format is much larger than the disk in it. */
const mostBytesOf = (image: ResolvedImage) => sizeOf(image) * 1.1

/** The commands that make the layer, as a person could type them. */
function renderCommands(from: BlockNode, to: string, image: ResolvedImage): string {
  return [convertArguments({ from, to, format: 'qcow2' }), growArguments(to, sizeOf(image))]
    .map((words) => `qemu-img ${words.join(' ')}\n`)
    .join('')
}

async function install(request: InstallRequest): Promise<InstalledBase> {
  const { image, runFolder, planned, emit, signal } = request
  const onProgress = (text: string) => emit({ kind: 'part-progress', name: 'base', text })
  const provided = await provideImage({
    source: sourceOf(image),
    cacheFolder: outFolderAt(runFolder.outFolder).cache.images,
    maximumBytes: mostBytesOf(image),
    onProgress,
    signal,
  })
  if (provided.digest !== planned.image) throw changed(sourceOf(image).location)
  const folder = temporaryFolderIn(await findWorkFolder())
  await noteFolder(runFolder.path, folder)
  await mkdir(folder, { mode: 0o700 })
  try {
    const file = await openImageFile(provided.file, folder, signal)
    onProgress('examining the image')
    const disk = await openDisk(file.path, { workFolder: folder, signal })
    const examined = await examineImage(image, disk).finally(disk.close)
    onProgress('writing the disk')
    await convert(file, request)
    // It was read several times since its checksum was found.
    if ((await touchOf(provided.file)).mark !== provided.mark) throw changed(sourceOf(image).location)
    const log = join(runFolder.path, 'base.log')
    await writeFile(
      log,
      `${redact(sourceOf(image).location)}: ${provided.digest}\n${renderCommands(file.node, request.disk, image)}`,
    )
    return {
      packages: { added: [...examined.packages], removed: [], upgraded: [] },
      layout: examined.layout,
      installerFiles: { 'disk image': provided.sha256 },
      log,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function convert(from: ImageFile, { image, disk, signal }: InstallRequest): Promise<void> {
  try {
    await convertImage({ from: from.node, to: disk, format: 'qcow2' }, signal)
    await growDisk(disk, sizeOf(image), signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof QemuImgError) || isNoSpace(error)) throw error
    throw unreadableDisk(`the disk image ${from.path} cannot be written as a layer: ${error.message}`, error)
  }
}

function changed(location: string): PipelineError {
  return new PipelineError({
    code: 'changed-meanwhile',
    message: `the disk image ${location} changed while the build was being planned`,
    hint: 'run the build again.',
    exitCode: exitCodes.badInput,
  })
}

/** The disk as a plain sparse file, for Oracle VM and any other use. */

import { link, rm } from 'node:fs/promises'
import { imageNode } from '../disk/block-node.ts'
import { compareImages } from '../disk/qemu-img.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { withoutLinks } from '../host/files.ts'
import type { RawDisk } from './raw-disk.ts'

/**
 * Gives the flattened disk a second name, which takes neither time nor space, and remains when the first is removed. The disk
 * is copied, with its holes, only on a filesystem without hard links.
 */
export async function exportRaw(
  disk: RawDisk,
  file: string,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<void> {
  await rm(file, { force: true })
  try {
    await link(disk.path, file)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (!withoutLinks.includes(code ?? '')) throw cause
    await copy(disk, file, signal)
  }
  onProgress(1)
}

async function copy(disk: RawDisk, file: string, signal: AbortSignal): Promise<void> {
  await execa('cp', ['--sparse=always', '--reflink=auto', '--', disk.path, file], {
    cancelSignal: signal,
    ...bareEnvironment(),
  })
  await compareImages(imageNode('raw', disk.path), imageNode('raw', file), signal)
}

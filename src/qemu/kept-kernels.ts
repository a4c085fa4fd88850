/**
 * The kernel of the last guest, kept for probing KVM on hosts where only root can read the host's kernels. Its name is its
 * digest.
 */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { noneIfNotReadable, readRegular } from '../host/regular-file.ts'
import { namesIn, unlessMissing } from '../host/unless-missing.ts'

/** Keeps this kernel in place of earlier ones. */
export async function keepKernel(folder: string, kernel: string): Promise<void> {
  const bytes = await readRegular(kernel)
  const name = sha256(bytes)
  await makeFolder(folder)
  await writeDurably(join(folder, name), bytes)
  const others = (await namesIn(folder)).filter((other) => isDigest(other) && other !== name)
  for (const other of others) await rm(join(folder, other), { force: true })
}

/** Paths of the kept kernels whose content is unchanged. */
export async function findKernels(folder: string): Promise<readonly string[]> {
  const sound: string[] = []
  for (const name of (await namesIn(folder)).filter(isDigest)) {
    const path = join(folder, name)
    const bytes = await unlessMissing(path, () => readRegular(path)).catch(noneIfNotReadable)
    if (bytes !== undefined && sha256(bytes) === name) sound.push(path)
  }
  return sound
}

function isDigest(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name)
}

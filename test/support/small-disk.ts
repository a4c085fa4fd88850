/** Disks in memory that are soon full. Only root may mount one. */

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'

export const canMount = process.getuid?.() === 0

/**
 * Mounts a disk on a folder, which it makes if it is missing.
 * @param limits options of tmpfs, such as `size=16k`
 * @returns unmounts it
 */
export function mountSmallDisk(folder: string, limits: string): () => void {
  mkdirSync(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=755,${limits}`, 'none', folder])
  return () => void execFileSync('umount', [folder])
}

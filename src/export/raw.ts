/** The disk as it is, for Oracle VM and for whoever wants just that: a sparse file. */

import { execa } from 'execa'
import { writeWhole } from './partial-file.ts'
import type { RawDisk } from './raw-disk.ts'

/** Copies the disk with its holes; where the file system can share blocks, without copying any. */
export async function exportRaw(
  disk: RawDisk,
  file: string,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<void> {
  await writeWhole(file, signal, async (partial) => {
    await execa('cp', ['--sparse=always', '--reflink=auto', disk.path, partial], { cancelSignal: signal })
    const compare = ['compare', '-q', '-f', 'raw', '-F', 'raw', disk.path, partial]
    await execa('qemu-img', compare, { cancelSignal: signal })
  })
  onProgress(1)
}

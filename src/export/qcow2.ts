/** The file for KVM: the disk as one compressed qcow2. */

import { execa } from 'execa'
import type { ResolvedImage } from '../config/resolved.ts'
import { writeWhole } from './partial-file.ts'
import type { RawDisk } from './raw-disk.ts'

/** Writes a qcow2 that qemu-img finds sound and equal to the disk. */
export async function exportQcow2(
  disk: RawDisk,
  file: string,
  options: Pick<ResolvedImage['formats']['kvm'], 'compat' | 'compression'>,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<void> {
  await writeWhole(file, signal, async (partial) => {
    const settings = [`compat=${options.compat}`]
    // The option itself is unknown to the older format.
    if (options.compression !== 'zlib') settings.push(`compression_type=${options.compression}`)
    // Without -W, so that the order of clusters, and with it every byte, follows from the content alone.
    const flags = ['-p', '-c', '-f', 'raw', '-O', 'qcow2', '-o', settings.join(',')]
    const conversion = qemuImg(['convert', ...flags, disk.path, partial], signal)
    conversion.stdout.on('data', (chunk: Buffer) => {
      const percent = /\((\d+(?:\.\d+)?)\/100%\)\s*$/.exec(chunk.toString())?.[1]
      if (percent !== undefined) onProgress(Number(percent) / 100)
    })
    await conversion
    await qemuImg(['check', '-q', '-f', 'qcow2', partial], signal)
    await qemuImg(['compare', '-q', '-f', 'raw', '-F', 'qcow2', disk.path, partial], signal)
  })
}

function qemuImg(words: readonly string[], signal: AbortSignal) {
  return execa('qemu-img', words, { cancelSignal: signal, timeout: 3_600_000 })
}

/** The file for KVM: the final layer flattened into one compressed qcow2. */

import { rename, rm, stat } from 'node:fs/promises'
import { execa } from 'execa'
import type { ResolvedImage } from '../config/resolved.ts'
import { hashFile } from '../digest.ts'
import { PipelineError } from '../errors.ts'

export interface ExportedFile {
  readonly sizeBytes: number
  readonly sha256: string
  readonly sha512: string
}

/**
 * Writes `file` from the layer's disk, and moves it into place only when qemu-img finds it sound and equal to its
 * source.
 */
export async function exportQcow2(
  source: string,
  file: string,
  options: ResolvedImage['qcow2'],
  onProgress: (percent: number) => void,
  signal: AbortSignal,
): Promise<ExportedFile> {
  const partial = `${file}.partial`
  try {
    const settings = [`compat=${options.compat}`]
    // The option itself is unknown to the older format.
    if (options.compression !== 'zlib') settings.push(`compression_type=${options.compression}`)
    // Without -W, so that the order of clusters, and with it every byte, follows from the content alone.
    const convert = [
      'convert',
      '-p',
      '-c',
      '-f',
      'qcow2',
      '-O',
      'qcow2',
      '-o',
      settings.join(','),
      source,
      partial,
    ]
    const conversion = qemuImg(convert, signal)
    conversion.stdout.on('data', (chunk: Buffer) => {
      const percent = /\((\d+(?:\.\d+)?)\/100%\)\s*$/.exec(chunk.toString())?.[1]
      if (percent !== undefined) onProgress(Number(percent))
    })
    await conversion
    await qemuImg(['check', '-q', partial], signal)
    await qemuImg(['compare', '-q', source, partial], signal)
    const { sha256 = '', sha512 = '' } = await hashFile(partial, ['sha256', 'sha512'])
    const { size } = await stat(partial)
    await rename(partial, file)
    return { sizeBytes: size, sha256, sha512 }
  } catch (cause) {
    signal.throwIfAborted()
    const found = cause as { shortMessage?: string; stderr?: string; message: string }
    throw new PipelineError({
      code: 'export-failed',
      message: `the image ${file} could not be made: ${found.stderr?.trim() || (found.shortMessage ?? found.message)}`,
      hint: 'check the disk that holds out/ for space; the layers are kept, so the next run only exports.',
      cause,
    })
  } finally {
    await rm(partial, { force: true })
  }
}

function qemuImg(commandArguments: readonly string[], signal: AbortSignal) {
  return execa('qemu-img', commandArguments, { cancelSignal: signal, timeout: 3_600_000 })
}

/** Exports any disk, made by whomever, without a pipeline and without a store. */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Target } from '../config/image.ts'
import { sha256File } from '../digest.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import type { Emit } from '../report/events.ts'
import { computeChecksums, writeChecksums } from './checksums.ts'
import { type ExportSource, exporters } from './exporters.ts'
import { flattenDisk } from './raw-disk.ts'

export interface DiskExport extends ExportSource {
  /** Disk image of any format that qemu-img reads. */
  readonly disk: string
  readonly targets: readonly Target[]
  /** Where the files go. */
  readonly folder: string
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Returns the paths of the files. @throws PipelineError `disk-unreadable`, `export-failed` */
export async function exportDisk(request: DiskExport): Promise<readonly string[]> {
  const { disk: source, folder, targets, emit, signal } = request
  const format = await detectFormat(source)
  await mkdir(folder, { recursive: true })
  const flat = join(folder, `.${request.fileName}.raw`)
  try {
    const started = performance.now()
    emit({ kind: 'part-started', name: 'flatten', estimateSeconds: undefined })
    const [disk, key] = await Promise.all([flattenDisk(source, format, flat, signal), sha256File(source)])
    emit({ kind: 'part-finished', name: 'flatten', seconds: (performance.now() - started) / 1000 })
    const outcomes = await Promise.allSettled(
      targets.map(async (target) => {
        const name = `export ${target}`
        const begun = performance.now()
        emit({ kind: 'part-started', name, estimateSeconds: undefined })
        const onProgress = (fraction: number) =>
          emit({ kind: 'part-progress', name, text: `${Math.floor(fraction * 100)} %` })
        const file = join(folder, `${request.fileName}-${exporters[target].suffix(request)}`)
        await exporters[target].write({ ...request, disk, key, onProgress, signal }, file)
        emit({ kind: 'part-finished', name, seconds: (performance.now() - begun) / 1000 })
        return file
      }),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const files = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    for (const file of files) await writeChecksums(file, await computeChecksums(file, signal))
    return files
  } finally {
    await rm(flat, { force: true })
  }
}

async function detectFormat(path: string): Promise<string> {
  const result = await execa('qemu-img', ['info', '--output=json', path], { reject: false, timeout: 60_000 })
  if (result.exitCode === 0) return (JSON.parse(result.stdout) as { readonly format: string }).format
  throw new PipelineError({
    code: 'disk-unreadable',
    message: `cannot read the disk ${path}: ${result.stderr.trim()}`,
    hint: 'give --from the path of a disk image that qemu-img reads.',
    exitCode: exitCodes.badInput,
  })
}

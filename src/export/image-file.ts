/** One target's file: its name, its dependencies, and how it is written and packed. */

import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Json } from '../digest.ts'
import { writeBzip2, writeZip } from '../formats/archive.ts'
import { archiveOf, type FormatSettings, type TargetName, targets } from '../targets/registry.ts'
import type { FileSource, TargetSettings, WriteJob } from '../targets/target.ts'

/** What files are made from in addition to the disk. */
export interface ExportSource extends Omit<FileSource<TargetSettings>, 'settings'> {
  readonly formats: FormatSettings
}

export interface ExportJob extends ExportSource, Omit<WriteJob<TargetSettings>, keyof FileSource<unknown>> {}

/** Name of a target's file. */
export function imageName(source: Pick<ExportSource, 'fileName' | 'formats'>, target: TargetName): string {
  const archive = archiveOf(target, source.formats)
  return `${plainName(source, target)}${archive === 'none' ? '' : `.${archive}`}`
}

function plainName(
  { fileName, formats }: Pick<ExportSource, 'fileName' | 'formats'>,
  target: TargetName,
): string {
  return `${fileName}-${targets[target].suffix(formats[target])}`
}

/** What a target's file depends on in addition to the disk. */
export function dependenciesOf(source: ExportSource, target: TargetName): Json {
  const settings = source.formats[target]
  return targets[target].dependsOn?.({ ...source, settings }) ?? { ...settings }
}

/** Whether a target's file stores compressed grains, which it can then share with other targets. */
export function takesGrains({ formats }: Pick<ExportSource, 'formats'>, target: TargetName): boolean {
  return targets[target].takesGrains?.(formats[target]) ?? false
}

/** Writes, checks, compares, and packs a file. After a failure, an incomplete file may remain. */
export async function writeImage(target: TargetName, job: ExportJob, file: string): Promise<void> {
  const archive = archiveOf(target, job.formats)
  const write = (to: string, onProgress: (fraction: number) => void) =>
    targets[target].write({ ...job, settings: job.formats[target], onProgress }, to)
  const { onProgress, signal, sourceDateEpoch } = job
  if (archive === 'none') return write(file, onProgress)
  const entryName = plainName(job, target)
  const plain = join(dirname(file), entryName)
  try {
    await write(plain, (fraction) => onProgress(fraction / 2))
    const packing = (fraction: number) => onProgress(0.5 + fraction / 2)
    if (archive === 'bz2') return await writeBzip2(plain, file, packing, signal)
    await writeZip(plain, file, { entryName, timestampSeconds: sourceDateEpoch }, packing, signal)
  } finally {
    await rm(plain, { force: true })
  }
}

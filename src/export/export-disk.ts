/** Exports any disk, made by whomever, without a pipeline and without a store. */

import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { requireWritable } from '../build/preflight.ts'
import type { Target } from '../config/image.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { takeLock, type Waiting } from '../host/lock.ts'
import { inspectImageFile } from '../inspect/image-file.ts'
import type { Emit } from '../report/events.ts'
import { digestContent } from './content-digest.ts'
import { type ExportSource, exporters } from './exporters.ts'
import { grainBytes } from './grains.ts'
import { exportSideBySide } from './side-by-side.ts'
import { blockBytes, geometryBytes, geometryOf } from './vhd-format.ts'

export interface DiskExport extends ExportSource {
  /** Disk image of any format that qemu-img reads. */
  readonly disk: string
  readonly targets: readonly Target[]
  /** Where the files go. */
  readonly folder: string
  /** Without it, a folder into which another export writes is refused. */
  readonly waiting?: Waiting | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

/**
 * Returns the paths of the files. What is finished stays, with its sums, when another target fails.
 * @throws PipelineError `disk-unreadable`, `disk-size`, `disk-in-the-way`, `disk-changed`, `out-read-only`, `locked`, `export-failed`
 */
export async function exportDisk(request: DiskExport): Promise<readonly string[]> {
  const { disk: source, folder, targets, signal } = request
  const { format, sizeBytes, files } = await inspectImageFile(source, undefined, signal)
  await requireSize(request, format, sizeBytes)
  await requireWritable(folder)
  const flat = join(folder, `.${request.fileName}.raw`)
  const fileOf = (target: Target) => join(folder, `${request.fileName}-${exporters[target].suffix(request)}`)
  for (const file of [flat, ...targets.map(fileOf)]) await requireOther(source, file)
  // Whatever their names, all files of a folder are in the same lists of sums.
  const lock = await takeLock(folder, `export of ${basename(source)}`, request.waiting, 'export')
  const before = await stampOf(files)
  try {
    return await exportSideBySide({
      ...request,
      format,
      flat,
      findKey: async (disk) => {
        if ((await stampOf(files)) !== before) throw changedMeanwhile(source)
        // Not of the file, which may be one of several that the disk consists of.
        return digestContent(disk, signal)
      },
      fileOf,
      onFile: async ({ path }) => path,
    })
  } finally {
    await lock.release()
  }
}

/** Changes with every write to one of the files. */
async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = files.map(async (file) => {
    const { ino, size, mtimeMs } = await stat(file)
    return `${ino} ${size} ${mtimeMs}`
  })
  return (await Promise.all(stamps)).join('\n')
}

function changedMeanwhile(disk: string): PipelineError {
  return new PipelineError({
    code: 'disk-changed',
    message: `the disk ${disk}, or one that it stands on, was written to while it was read`,
    hint: 'shut down whatever uses it, or export a copy.',
    exitCode: exitCodes.badInput,
  })
}

/** Refuses to write a file over the disk that it is made of. */
async function requireOther(source: string, file: string): Promise<void> {
  const [from, to] = await Promise.all([stat(source), stat(file).catch(() => undefined)])
  if (to === undefined || to.ino !== from.ino || to.dev !== from.dev) return
  throw new PipelineError({
    code: 'disk-in-the-way',
    message: `${file} would be written over the disk that it is made of, ${source}`,
    hint: 'give another --name, or another folder with --out.',
    exitCode: exitCodes.badInput,
  })
}

type Choice = Pick<DiskExport, 'targets' | 'formats'>

const mibBytes = 1024 ** 2

/** The largest disk that a VHD's cylinders, heads and sectors count. */
const maximumVhdBytes = geometryBytes({ cylinders: 65_535, heads: 16, sectorsPerTrack: 255 })

function isVhd(target: Target, { formats }: Pick<Choice, 'formats'>): boolean {
  return target === 'xenserver' || (target === 'hyperv' && formats.hyperv.container === 'vhd')
}

/** Whether a target's file can say the size exactly, so that no reader rounds it. */
function holds(target: Target, choice: Choice, sizeBytes: number): boolean {
  if (isVhd(target, choice)) {
    return sizeBytes % blockBytes === 0 && geometryBytes(geometryOf(sizeBytes)) === sizeBytes
  }
  return target !== 'vmware' || sizeBytes % grainBytes === 0
}

/** The nearest sizes below and above that every target holds, in MiB. */
export function nearestSizesMiB(choice: Choice, sizeBytes: number): readonly number[] {
  const fits = (size: number) => choice.targets.every((target) => holds(target, choice, size))
  const limit = choice.targets.some((target) => isVhd(target, choice))
    ? maximumVhdBytes
    : sizeBytes + blockBytes
  const start = Math.floor(Math.min(sizeBytes, limit) / blockBytes) * blockBytes
  let below = start
  while (below > 0 && !fits(below)) below -= blockBytes
  let above = start + blockBytes
  while (above <= limit && !fits(above)) above += blockBytes
  return [below, above].filter((size) => size > 0 && size <= limit).map((size) => size / mibBytes)
}

async function requireSize(request: DiskExport, format: string, sizeBytes: number): Promise<void> {
  const { disk, targets } = request
  const unfit = targets.filter((target) => !holds(target, request, sizeBytes))
  if (unfit.length === 0) return
  const sizes = nearestSizesMiB(request, sizeBytes).map((size) => `${size} MiB`)
  const nearest = sizes.length === 1 ? 'nearest size that fits is' : 'next sizes that fit are'
  // qemu-img counts in sectors, and whoever looks at the file in bytes.
  const found = format === 'raw' ? (await stat(disk)).size || sizeBytes : sizeBytes
  throw new PipelineError({
    code: 'disk-size',
    message: `the disk ${disk} has ${found} bytes (${Number((found / mibBytes).toFixed(3))} MiB), a size that the files for ${unfit.join(' and ')} cannot express`,
    hint: `the ${nearest} ${sizes.join(' and ')}: resize a copy of the disk (qemu-img resize), or choose other targets with --targets.`,
    exitCode: exitCodes.badInput,
    details: { sizeBytes: found, targets: unfit },
  })
}

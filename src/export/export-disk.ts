/** Exports any disk, without a pipeline and without a store. */

import { setMaxListeners } from 'node:events'
import { realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Backing } from '../disk/chain.ts'
import { formatByEnding, recognizeFormat, requireOwnFormat } from '../disk/disk-format.ts'
import { type ImageFile, inspectImageFile } from '../disk/image-file.ts'
import { requireRawDisk } from '../disk/raw-content.ts'
import { withUnpacked } from '../disk/unpack.ts'
import { unreadableDisk } from '../disk/unreadable.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import type { DiskSizes } from '../formats/sizes.ts'
import { requireKept } from '../host/closed-folder.ts'
import { takeLock, type Waiting } from '../host/lock.ts'
import { requireWritable } from '../host/out-folder.ts'
import { touchOf } from '../host/touch.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import type { Emit } from '../report/events.ts'
import { type TargetName, targets } from '../targets/registry.ts'
import { listsOf } from './checksums.ts'
import { digestContent } from './content-digest.ts'
import { type ExportSource, imageName } from './image-file.ts'
import { exportSideBySide } from './side-by-side.ts'

export interface DiskExport extends ExportSource {
  /** A disk image, or an archive of one. */
  readonly disk: string
  /** @default 'none' */
  readonly backing?: Backing | undefined
  /** Whether to accept any bytes as a raw disk. @default false */
  readonly takesAnyBytes?: boolean | undefined
  readonly targets: readonly TargetName[]
  /** Output folder. */
  readonly folder: string
  /** If absent, a folder that another export is writing to is refused. */
  readonly waiting?: Waiting | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

/**
 * Returns the paths of the files. If a target fails, the finished files of others remain, with their checksums.
 * @throws PipelineError `disk-unreadable`, `disk-refers-elsewhere`, `disk-size`, `disk-in-the-way`, `disk-changed`,
 * `out-read-only`, `out-open`, `locked`, `export-failed`, `no-space`, `tools`
 */
export async function exportDisk(request: DiskExport): Promise<readonly string[]> {
  const { disk: given, signal } = request
  return inWorkFolder((work) => {
    const exportFrom = (disk: string) => exportPlain({ ...request, disk, given, work })
    return formatByEnding(given) === undefined
      ? withUnpacked(given, work, signal, exportFrom)
      : exportFrom(given)
  })
}

// --- internal ---

interface PlainExport extends DiskExport {
  /** The file that a user named. */
  readonly given: string
  /** Folder for copies of parts of the disk. */
  readonly work: string
}

async function exportPlain(request: PlainExport): Promise<readonly string[]> {
  const { given, folder, signal } = request
  const first = await inspectUnchanged(request)
  await requireWritable(folder)
  const workFolder = join(await realpath(folder), '.systemvm-image.unfinished')
  const fileOf = (target: TargetName) => join(folder, imageName(request, target))
  const written = [...request.targets.map(fileOf), ...listsOf(folder)]
  // All files of a folder, whatever their names, share its checksum lists.
  const lock = await takeLock(folder, `export of ${basename(given)}`, request.waiting, 'export')
  const within = AbortSignal.any([signal, lock.lost])
  setMaxListeners(0, within)
  try {
    await requireKept(folder, workFolder)
    // The process that held the lock may have written to the disk.
    const isSame = (await marksOf(first.source.files)) === first.marks
    const { source, marks } = isSame ? first : await inspectUnchanged(request)
    await requireElsewhere([given, ...source.files], written, workFolder)
    return await exportSideBySide({
      ...request,
      disk: source.node,
      workFolder,
      findKey: async (flat) => {
        if ((await marksOf(source.files)) !== marks) throw changedMeanwhile(given)
        // A digest of the content, not of the file, which may be one of several that make up the disk.
        return digestContent(flat, within)
      },
      fileOf,
      onFile: async ({ path }) => path,
      confirm: lock.confirm,
      signal: within,
    })
  } finally {
    await lock.release()
  }
}

/** The disk, and the marks of its files from before it was inspected: what is in them later may refer to other files. */
async function inspectUnchanged(
  request: PlainExport,
): Promise<{ readonly source: ImageFile; readonly marks: string }> {
  const before = await marksOf([request.disk])
  const source = await requireFit(request)
  const marks = await marksOf(source.files)
  if (marks.split('\n')[0] !== before) throw changedMeanwhile(request.given)
  return { source, marks }
}

/** Inspects the disk, and checks that the targets can hold it. */
async function requireFit(request: PlainExport): Promise<ImageFile> {
  const source = await inspectSource(request)
  await requireSize(request, source)
  return source
}

/**
 * Uses the format that the file extension indicates, if any: a fixed VHD has its signature at the end, an OVA is a tar of
 * several files, and the author of a raw disk chooses its first bytes.
 */
async function inspectSource(request: PlainExport): Promise<ImageFile> {
  const { disk, backing, takesAnyBytes = false, work, signal } = request
  const named = formatByEnding(disk)
  const source = await inspectImageFile(disk, { format: named, backing, signal })
  const format = named === 'raw' ? await recognizeFormat(disk) : undefined
  if (format === undefined || format === 'raw') {
    if (source.format === 'raw' && !takesAnyBytes) {
      await requireOwnFormat(disk)
      await requireRawDisk(source, join(work, 'probe'), signal)
    }
    return source
  }
  throw unreadableDisk(
    `the name of the disk ${disk} says raw, but it begins like a ${format}`,
    undefined,
    `if it is a ${format}, rename it to disk.${format}; if it is not, convert it with qemu-img first.`,
  )
}

/** Deleted files count as well. */
async function marksOf(files: readonly string[]): Promise<string> {
  const touches = files.map((file) => touchOf(file).catch(() => ({ mark: 'gone' })))
  return (await Promise.all(touches)).map(({ mark }) => mark).join('\n')
}

function changedMeanwhile(disk: string): PipelineError {
  return new PipelineError({
    code: 'disk-changed',
    message: `the disk ${disk}, or a backing file of it, was written to while it was read`,
    hint: 'shut down whatever uses it, or export a copy.',
    exitCode: exitCodes.badInput,
  })
}

/** Refuses to overwrite or clean up a file that the disk is read from. */
async function requireElsewhere(
  sources: readonly string[],
  files: readonly string[],
  workFolder: string,
): Promise<void> {
  for (const source of sources) {
    const from = await stat(source)
    for (const file of files) {
      const to = await stat(file).catch(() => undefined)
      if (to?.ino === from.ino && to.dev === from.dev) throw inTheWay(source, file)
    }
    if ((await realpath(source)).startsWith(`${workFolder}/`)) throw inTheWay(source, workFolder)
  }
}

function inTheWay(source: string, file: string): PipelineError {
  return new PipelineError({
    code: 'disk-in-the-way',
    message: `${file} would overwrite ${source}, which the disk is read from`,
    hint: 'give another --name, or another folder with --out.',
    exitCode: exitCodes.badInput,
  })
}

type Choice = Pick<DiskExport, 'targets' | 'formats'>

const mibBytes = 1024 ** 2

/** Step between the sizes that are tried. */
const stepBytes = 2 * mibBytes

function sizesOf(target: TargetName, { formats }: Pick<Choice, 'formats'>): DiskSizes {
  return targets[target].diskSizes?.(formats[target]) ?? { holds: () => true }
}

/** The nearest sizes below and above that every target can express, in MiB. */
export function nearestSizesMiB(choice: Choice, sizeBytes: number): readonly number[] {
  const rules = choice.targets.map((target) => sizesOf(target, choice))
  const fits = (size: number) => rules.every(({ holds }) => holds(size))
  const largest = Math.min(...rules.map(({ largestBytes = Number.POSITIVE_INFINITY }) => largestBytes))
  const limit = Number.isFinite(largest) ? largest : sizeBytes + stepBytes
  const start = Math.floor(Math.min(sizeBytes, limit) / stepBytes) * stepBytes
  let below = start
  while (below > 0 && !fits(below)) below -= stepBytes
  let above = start + stepBytes
  while (above <= limit && !fits(above)) above += stepBytes
  return [below, above].filter((size) => size > 0 && size <= limit).map((size) => size / mibBytes)
}

async function requireSize(request: DiskExport, { format, sizeBytes }: ImageFile): Promise<void> {
  const { disk } = request
  const unfit = request.targets.filter((target) => !sizesOf(target, request).holds(sizeBytes))
  if (unfit.length === 0) return
  // qemu-img counts in sectors, but the file has a size in bytes.
  const found = format === 'raw' ? (await stat(disk)).size || sizeBytes : sizeBytes
  throw new PipelineError({
    code: 'disk-size',
    message: `the disk ${disk} has ${found} bytes (${describeMiB(found)}), a size that the files for ${listed(unfit)} cannot express`,
    hint: adviseSize(nearestSizesMiB(request, sizeBytes), sizeBytes),
    exitCode: exitCodes.badInput,
    details: { sizeBytes: found, targets: unfit },
  })
}

const listed = (names: readonly string[]) =>
  names.length < 3 ? names.join(' and ') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`

function describeMiB(bytes: number): string {
  const rest = bytes % mibBytes
  return `${Math.floor(bytes / mibBytes)} MiB${rest === 0 ? '' : ` and ${rest} ${rest === 1 ? 'byte' : 'bytes'}`}`
}

function adviseSize(sizesMiB: readonly number[], sizeBytes: number): string {
  // Shrinking a disk cuts off its end.
  if (!sizesMiB.some((size) => size * mibBytes > sizeBytes))
    return `no larger size fits, the largest is ${sizesMiB[0]} MiB: choose other targets with --targets.`
  const nearest = sizesMiB.length === 1 ? 'nearest size that fits is' : 'next sizes that fit are'
  const sizes = sizesMiB.map((size) => `${size} MiB`).join(' and ')
  return `the ${nearest} ${sizes}: resize a copy of the disk (qemu-img resize), or choose other targets with --targets.`
}

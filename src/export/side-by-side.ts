/** The core of every export: flattens the disk, then makes each target's file from it in parallel, with checksums. */

import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import pLimit, { type LimitFunction } from 'p-limit'
import type { BlockNode } from '../disk/block-node.ts'
import { exportFailed } from '../formats/failures.ts'
import { compressGrains, type Grain } from '../formats/grains.ts'
import { flattenDisk, type RawDisk } from '../formats/raw-disk.ts'
import { secondsSince } from '../host/elapsed.ts'
import type { Emit } from '../report/events.ts'
import type { TargetName } from '../targets/registry.ts'
import { algorithms, type Checksums, computeChecksums, dropChecksums, writeChecksums } from './checksums.ts'
import { type ExportJob, type ExportSource, takesGrains, writeImage } from './image-file.ts'
import { writeWhole } from './partial-file.ts'
import { type Branch, tee } from './tee.ts'

export interface SideBySide<Result> extends ExportSource {
  /** The disk, which may have backing files. */
  readonly disk: BlockNode
  /** Holds everything that has no final name yet. Emptied before and removed afterward; must be next to the files. */
  readonly workFolder: string
  /** Returns the key from which identifiers in the files are derived, given the flattened disk. */
  readonly findKey: (disk: RawDisk) => Promise<string>
  readonly targets: readonly TargetName[]
  readonly fileOf: (target: TargetName) => string
  /** Called for each target before anything is written for it. */
  readonly onBegin?: (target: TargetName) => Promise<void>
  /** Called before anything is moved or removed; throws if another run has taken over the folder. */
  readonly confirm?: () => Promise<void>
  /** Called for each file once it is complete and in the checksum lists. */
  readonly onFile: (file: MadeFile) => Promise<Result>
  readonly estimate?: (name: string) => number | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface MadeFile {
  readonly target: TargetName
  readonly path: string
  readonly checksums: Checksums
  readonly virtualSizeBytes: number
  readonly seconds: number
}

/**
 * Returns the results of `onFile` in the order of the targets. If a target fails, the finished files of others remain.
 *
 * @throws the first failure after all others have ended, or the reason of an earlier interruption
 */
export async function exportSideBySide<Result>(job: SideBySide<Result>): Promise<readonly Result[]> {
  const { workFolder, targets, signal } = job
  try {
    const { disk, key } = await prepare(job)
    // All targets write to the same checksum lists.
    const list = pLimit(1)
    const readers = targets.filter((target) => takesGrains(job, target))
    const branches = tee(compressGrains(disk), readers.length)
    const outcomes = await Promise.allSettled(
      targets.map((target) =>
        exportTarget(job, { disk, key, grains: branches[readers.indexOf(target)] }, target, list),
      ),
    )
    signal.throwIfAborted()
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) {
      // If another run has taken over the folder, that is the actual cause.
      await job.confirm?.()
      throw failed.reason
    }
    return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  } finally {
    // If this fails, the next export removes the folder.
    const remove = () => rm(workFolder, { recursive: true, force: true })
    await (job.confirm?.() ?? Promise.resolve()).then(remove).catch(() => undefined)
  }
}

async function prepare<Result>(
  job: SideBySide<Result>,
): Promise<{ readonly disk: RawDisk; readonly key: string }> {
  const { emit, estimate, signal } = job
  const started = performance.now()
  // A killed run may have left a finished raw file here, a hard link to the final one.
  await makeEmpty(job.workFolder)
  emit({ kind: 'part-started', name: 'flatten', estimateSeconds: estimate?.('flatten') })
  const disk = await flattenDisk(job.disk, join(job.workFolder, 'disk.raw'), signal)
  const key = await job.findKey(disk)
  emit({ kind: 'part-finished', name: 'flatten', seconds: secondsSince(started) })
  return { disk, key }
}

async function makeEmpty(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
  } catch (cause) {
    throw exportFailed(`folder ${folder}`, cause)
  }
}

type Shared = Pick<ExportJob, 'disk' | 'key'> & { readonly grains: Branch<Grain> | undefined }

async function exportTarget<Result>(
  job: SideBySide<Result>,
  { disk, key, grains }: Shared,
  target: TargetName,
  list: LimitFunction,
): Promise<Result> {
  const { emit, signal } = job
  const path = job.fileOf(target)
  const name = `export ${target}`
  const started = performance.now()
  emit({ kind: 'part-started', name, estimateSeconds: job.estimate?.(name) })
  let shown = ''
  const show = (text: string) => {
    if (text !== shown) emit({ kind: 'part-progress', name, text })
    shown = text
  }
  const onProgress = (fraction: number) => show(formatPercent(fraction))
  const write = async (file: string) => {
    try {
      await job.onBegin?.(target)
      await writeImage(target, { ...job, disk, key, grains, onProgress, signal }, file)
    } finally {
      // A failed reader must not block the other one.
      grains?.close()
    }
    show('checksums')
    const checksums = await computeChecksums(file, signal, algorithms, (fraction) =>
      show(`checksums ${formatPercent(fraction)}`),
    )
    await job.confirm?.()
    // From here on no list has a wrong checksum, whatever happens.
    await inLists(path, () => list(dropChecksums, path))
    return checksums
  }
  // Hashed before it is renamed, so that it is listed right after it gets its name, even if interrupted.
  const checksums = await writeWhole(path, join(job.workFolder, basename(path)), signal, write, job.confirm)
  await inLists(path, () => list(writeChecksums, path, checksums))
  const seconds = secondsSince(started)
  emit({ kind: 'part-finished', name, seconds })
  return job.onFile({ target, path, checksums, virtualSizeBytes: disk.sizeBytes, seconds })
}

async function inLists(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (cause) {
    throw exportFailed(`list of checksums with ${path}`, cause)
  }
}

function formatPercent(fraction: number): string {
  return `${Math.floor(fraction * 100)} %`
}

/** Everything that `diff` reports about two disks, for people and for machines. */

import type { DiskFile, DiskFiles } from '../disk/disk-files.ts'
import { measureFolders } from '../disk/folder-sizes.ts'
import { followPath } from '../disk/paths.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { compareDisks, type DiskDifference, narrow } from './compare.ts'
import { type ContentDifference, compareContents, shownFolders } from './contents.ts'
import { findGrowth, type Growth } from './sizes.ts'

export interface DiffReport {
  readonly difference: DiskDifference
  /** Contents by path: of configuration files, or of everything in the requested folders. */
  readonly contents: ReadonlyMap<string, ContentDifference>
  readonly sizes: {
    readonly beforeBytes: number
    readonly afterBytes: number
    /** Folders that grew or shrank, largest change first. */
    readonly folders: readonly Growth[]
  }
}

/**
 * Compares two disks, or some of their paths and everything below them.
 * @param paths empty for the whole disk
 * @throws PipelineError `no-path` if neither disk has one of the paths
 */
export async function reportDifference(
  before: DiskFiles,
  after: DiskFiles,
  paths: readonly string[],
): Promise<DiffReport> {
  const [old, now] = await Promise.all([before.list(), after.list()])
  const roots = paths.flatMap((path) => findRoots(path, old, now))
  const whole = await compareDisks(before, after)
  const difference = roots.length === 0 ? whole : narrow(whole, roots)
  const shown = roots.length === 0 ? narrow(whole, shownFolders) : difference
  const [oldSizes, newSizes] = [measureFolders(old), measureFolders(now)]
  const measured = roots.length === 0 ? ['/'] : roots
  const total = (sizes: ReadonlyMap<string, number>, files: ReadonlyMap<string, DiskFile>) =>
    measured.reduce((sum, path) => sum + (sizes.get(path) ?? files.get(path)?.sizeBytes ?? 0), 0)
  return {
    difference,
    contents: await compareContents(shown, before, after),
    sizes: {
      beforeBytes: total(oldSizes, old),
      afterBytes: total(newSizes, now),
      folders: measured.flatMap((root) => findGrowth(oldSizes, newSizes, root)),
    },
  }
}

// --- internal ---

type Files = ReadonlyMap<string, DiskFile>

/** A path, and where it leads on each disk: `/lib` leads to `/usr/lib`. */
function findRoots(path: string, before: Files, after: Files): readonly string[] {
  const places = [path, ...[before, after].map((files) => followPath(files, path))]
  const there = places.filter(
    (place): place is string => place !== undefined && (before.has(place) || after.has(place)),
  )
  if (there.length > 0) return [...new Set(there)]
  throw new PipelineError({
    code: 'no-path',
    message: `neither disk has ${path}`,
    hint: 'give an absolute path as the booted system has it.',
    exitCode: exitCodes.badInput,
  })
}

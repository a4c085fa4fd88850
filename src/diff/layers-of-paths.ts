/** Finds the layer in which each path of a finished disk got its final state. */

import type { DiskFile, DiskFiles } from '../disk/disk-files.ts'
import { compareFiles, type DiskDifference } from './compare.ts'

/** A layer whose files can be read. */
export interface ReadableLayer {
  readonly name: string
  readonly open: () => Promise<DiskFiles>
}

/** Paths that have had the same state as in the highest layer since this layer. That state can be absence. */
export interface PathsOfLayer {
  readonly layer: string
  readonly paths: readonly string[]
}

/** Every path of a difference. */
export function pathsOf({ added, removed, changed }: DiskDifference): readonly string[] {
  return [...added, ...removed, ...changed].map(({ path }) => path).sort()
}

/**
 * Groups paths by the lowest layer since which each has had the same state as in the highest one.
 * @param layers lowest first; opened one at a time from the highest down, until every path has differed
 */
export async function divideByLayer(
  paths: readonly string[],
  layers: readonly ReadableLayer[],
): Promise<readonly PathsOfLayer[]> {
  const found: PathsOfLayer[] = []
  let left = paths
  let top: Sight | undefined
  let above = ''
  for (const { name, open } of [...layers].reverse()) {
    if (left.length === 0) return found
    const here = await look(open, left)
    const final = top ?? here
    const isOther = (path: string) => !isSame(path, here, final)
    found.unshift(...atLayer(above, left.filter(isOther)))
    left = left.filter((path) => !isOther(path))
    top = final
    above = name
  }
  return [...atLayer(above, left), ...found]
}

// --- internal ---

/** The state of some paths on a disk. */
interface Sight {
  readonly files: ReadonlyMap<string, DiskFile>
  readonly digests: ReadonlyMap<string, string>
}

async function look(open: ReadableLayer['open'], paths: readonly string[]): Promise<Sight> {
  const disk = await open()
  try {
    return { files: await disk.list(), digests: await disk.digests(paths) }
  } finally {
    await disk.close()
  }
}

function isSame(path: string, one: Sight, other: Sight): boolean {
  const [before, after] = [one.files.get(path), other.files.get(path)]
  if (before === undefined || after === undefined) return before === after
  return compareFiles(before, after).length === 0 && one.digests.get(path) === other.digests.get(path)
}

function atLayer(layer: string, paths: readonly string[]): readonly PathsOfLayer[] {
  return paths.length === 0 ? [] : [{ layer, paths }]
}

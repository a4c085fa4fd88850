/** Finds where a disk grew. */

import { parentOf } from '../disk/folder-sizes.ts'

/** A folder whose size differs. */
export interface Growth {
  readonly path: string
  readonly beforeBytes: number
  readonly afterBytes: number
}

/** A folder is left out if one of its subfolders accounts for nearly all of its growth. */
const nearlyAll = 0.9

/** The folders below `root` that grew or shrank most, without `root` itself. */
export function findGrowth(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  root: string,
): readonly Growth[] {
  const inside = root === '/' ? '/' : `${root}/`
  const growth = new Map<string, number>()
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    const bytes = (after.get(path) ?? 0) - (before.get(path) ?? 0)
    if (path !== root && path.startsWith(inside) && bytes !== 0) growth.set(path, bytes)
  }
  const explained = new Set<string>()
  for (const [path, bytes] of growth) {
    const parent = parentOf(path)
    const whole = growth.get(parent) ?? 0
    if (Math.sign(whole) === Math.sign(bytes) && Math.abs(bytes) >= nearlyAll * Math.abs(whole)) {
      explained.add(parent)
    }
  }
  return [...growth]
    .filter(([path]) => !explained.has(path))
    .sort(([a, x], [b, y]) => Math.abs(y) - Math.abs(x) || (a < b ? -1 : 1))
    .map(([path]) => ({ path, beforeBytes: before.get(path) ?? 0, afterBytes: after.get(path) ?? 0 }))
}

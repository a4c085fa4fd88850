/** Whether two images of the tiny pipeline hold the same: files with all that they are, packages, partitions. */

import { expect } from 'vitest'
import { compareDisks } from '../../src/diff/compare.ts'
import { openDisk } from '../../src/inspect/disk-files.ts'

/** Paths that differ between any two builds, and why. */
const differing: readonly { readonly path: RegExp; readonly why: string }[] = []

/** @param workFolder an existing folder for copies of what is on the disks */
export async function expectSameContent(one: string, other: string, workFolder: string): Promise<void> {
  const options = { format: 'qcow2', workFolder, signal: AbortSignal.timeout(600_000) }
  const before = await openDisk(one, options)
  const after = await openDisk(other, options)
  try {
    const { added, removed, changed, packages, partitions, unread } = await compareDisks(before, after)
    const isExplained = ({ path }: { readonly path: string }) =>
      differing.some((known) => known.path.test(path))
    const differences = [
      ...added.map(({ path }) => ({ path, what: 'added' })),
      ...removed.map(({ path }) => ({ path, what: 'removed' })),
      ...changed.map(({ path, aspects }) => ({ path, what: aspects.join(', ') })),
    ]
    expect(differences.filter((difference) => !isExplained(difference))).toEqual([])
    expect(packages).toEqual({ added: [], removed: [], upgraded: [] })
    expect({ partitions, unread }).toEqual({ partitions: [], unread: [] })
  } finally {
    await before.close()
    await after.close()
  }
}

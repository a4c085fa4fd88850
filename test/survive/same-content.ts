/** Whether two images of the tiny pipeline hold the same: files with all that they are, packages, partitions. */

import { expect } from 'vitest'
import { compareDisks } from '../../src/diff/compare.ts'
import { openDisk } from '../../src/disk/disk-files.ts'

/** Paths whose content may differ between any two builds, and why. Nothing else of them may, and they have to be there. */
const differing: readonly { readonly path: RegExp; readonly why: string }[] = [
  {
    path: /^\/var\/log\/(apt\/(history|term)|dpkg|alternatives)\.log$/,
    why: 'says when a package was installed or removed',
  },
  { path: /^\/var\/cache\/apt\/(src)?pkgcache\.bin$/, why: "has the times of apt's lists" },
  { path: /^\/var\/cache\/ldconfig\/aux-cache$/, why: 'has the inodes and times of libraries' },
  // Unpacked, those of two builds were the same in every file, mode and size.
  { path: /^\/boot\/initrd\.img-/, why: 'an archive with the times of files that layer 0 was made with' },
]

/** @param workFolder an existing folder for copies of what is on the disks */
export async function expectSameContent(one: string, other: string, workFolder: string): Promise<void> {
  const options = {
    ...({ format: 'qcow2', backing: 'same folder' } as const),
    ...{ workFolder, signal: AbortSignal.timeout(600_000) },
  }
  const before = await openDisk(one, options)
  const after = await openDisk(other, options)
  try {
    const { added, removed, changed, packages, partitions, unread } = await compareDisks(before, after)
    const isExplained = ({ path, what }: { readonly path: string; readonly what: string }) =>
      what === 'content' && differing.some((known) => known.path.test(path))
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

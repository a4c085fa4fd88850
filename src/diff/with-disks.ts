/** Opens both disks of a comparison for the duration of an action. */

import { type DiskFiles, openDisk } from '../disk/disk-files.ts'
import { findWorkFolder } from '../host/work-folder.ts'
import type { ComparedDisk } from './sources.ts'

/** Opens both disks in parallel, and closes everything that was opened, whatever happens. */
export async function withDisks<Result>(
  sources: readonly [ComparedDisk, ComparedDisk],
  signal: AbortSignal,
  action: (disks: readonly [DiskFiles, DiskFiles]) => Promise<Result>,
): Promise<Result> {
  const workFolder = await findWorkFolder()
  const opening = sources.map(({ file, format, backing }) =>
    openDisk(file, { format, backing, workFolder, signal }),
  )
  const opened = await Promise.allSettled(opening)
  try {
    const failed = opened.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const [before, after] = await Promise.all(opening)
    return await action([before as DiskFiles, after as DiskFiles])
  } finally {
    for (const outcome of opened) if (outcome.status === 'fulfilled') await outcome.value.close()
  }
}

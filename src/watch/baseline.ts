/** How a stage's disk differs from what it was before the last change. */

import { type DiffReport, reportDifference } from '../diff/report.ts'
import { type DiskFiles, openDisk } from '../disk/disk-files.ts'
import { findWorkFolder } from '../host/work-folder.ts'

export interface Baseline {
  /**
   * Compares a layer's disk with the previously compared one, which is still open. Undefined for the first, since there is
   * nothing to compare it with.
   */
  readonly compare: (disk: LayerDisk, signal: AbortSignal) => Promise<DiffReport | undefined>
  readonly close: () => Promise<void>
}

export interface LayerDisk {
  readonly key: string
  /** Path of its qcow2; the backing files are in the same folder. */
  readonly file: string
}

export function openBaseline(): Baseline {
  let last: LayerDisk | undefined
  let lastFiles: DiskFiles | undefined
  const close = async () => {
    await lastFiles?.close()
    lastFiles = undefined
  }
  return {
    compare: async (disk, signal) => {
      const before = last
      if (before === undefined) {
        last = disk
        lastFiles = await open(disk, signal)
        return undefined
      }
      if (before.key === disk.key) return undefined
      let files: DiskFiles | undefined
      try {
        lastFiles ??= await open(before, signal)
        files = await open(disk, signal)
        const report = await reportDifference(lastFiles, files, [])
        await close()
        last = disk
        lastFiles = files
        return report
      } catch (error) {
        // After an interruption, the next comparison starts over.
        await files?.close()
        await close()
        throw error
      }
    },
    close,
  }
}

async function open({ file }: LayerDisk, signal: AbortSignal): Promise<DiskFiles> {
  const workFolder = await findWorkFolder()
  return remember(await openDisk(file, { format: 'qcow2', backing: 'same folder', workFolder, signal }))
}

/** A disk that reads no file twice for its digest. */
function remember(disk: DiskFiles): DiskFiles {
  const known = new Map<string, string>()
  return {
    ...disk,
    digests: async (paths) => {
      const asked = [...paths]
      const unknown = asked.filter((path) => !known.has(path))
      for (const [path, digest] of await disk.digests(unknown)) known.set(path, digest)
      return new Map(asked.flatMap((path) => (known.has(path) ? [[path, known.get(path) as string]] : [])))
    },
  }
}

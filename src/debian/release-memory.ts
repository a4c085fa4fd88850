/** Remembers the newest Release file that each mirror has served; older ones are refused from then on. */

import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { isOutput, outFolderAt } from '../host/out-folder.ts'
import { noneIfNotReadable, readRegular } from '../host/regular-file.ts'
import { unlessMissing } from '../host/unless-missing.ts'
import { proveRelease, type ReleaseMemory, type ReleaseRequest } from './release.ts'
import { requireNotOlder } from './release-dates.ts'

/** The memory of an output folder. A folder that was never used for a build remembers nothing. */
export function openReleaseMemory(outFolder: string): ReleaseMemory {
  const folder = outFolderAt(outFolder).cache.archives
  return {
    remember: async (bytes, request, { date }) => {
      const path = join(folder, `${nameOfArchive(request)}.InRelease`)
      // One that cannot be read right now is not forgotten.
      const seen = await unlessMissing(path, () => readRegular(path).catch(noneIfNotReadable))
      if (seen?.equals(bytes)) return
      // If the file contains anything else, the mirror is still usable.
      const before = seen && (await proveRelease(seen, request, { isRecord: true }).catch(() => undefined))
      if (before !== undefined) requireNotOlder(request, date, before.date, path)
      if (!(await isOutput(outFolder))) return
      await makeFolder(folder)
      await writeDurably(path, bytes)
    },
  }
}

/** Base name of an archive's files in the cache. */
export function nameOfArchive({ url, suite }: Pick<ReleaseRequest, 'url' | 'suite'>): string {
  return `${suite}-${sha256(url).slice(0, 16)}`
}

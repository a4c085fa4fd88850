/** Loads whole archives as they are today: their signed Release files and the indexes that these list. */

import { exitCodes, PipelineError } from '../errors.ts'
import { isOutput, outFolderAt } from '../host/out-folder.ts'
import { fetchIndex } from './index-files.ts'
import { type ReleaseRequest, type VerifiedRelease, verifyRelease } from './release.ts'
import { openReleaseMemory } from './release-memory.ts'
import type { ArchiveIndex } from './updates.ts'

export interface LoadedArchive {
  readonly request: ReleaseRequest
  readonly release: VerifiedRelease
  readonly indexes: readonly ArchiveIndex[]
}

/**
 * Loads an image's archives, the security archive last, and remembers the Release files that they served.
 * @param outFolder caches packed indexes and Release files, if a build was ever made there
 * @throws PipelineError with a code that starts with `mirror-` or `keyring-`
 */
export async function loadArchives(
  requests: readonly ReleaseRequest[],
  outFolder: string,
  signal: AbortSignal | undefined,
): Promise<readonly LoadedArchive[]> {
  const cache = (await isOutput(outFolder)) ? outFolderAt(outFolder).cache.archives : undefined
  const memory = openReleaseMemory(outFolder)
  return Promise.all(
    requests.map(async (request) => {
      const release = await verifyRelease(request, { signal, memory })
      const isSecurity = request === requests.at(-1)
      const indexes = await Promise.all(
        request.components.map(async (component) => {
          const text = await fetchIndex(request, release, component, { signal, cache })
          if (text === undefined) throw noIndex(request, component)
          return { suite: request.suite, isSecurity, text }
        }),
      )
      return { request, release, indexes }
    }),
  )
}

// --- internal ---

/** Having nothing to compare with is not the same as having nothing to update. */
function noIndex({ url, suite }: ReleaseRequest, component: string): PipelineError {
  return new PipelineError({
    code: 'mirror-index-missing',
    message: `${suite} at ${url} has no index of ${component} packed with gzip or xz`,
    hint: 'use another mirror, or name one in freshness.',
    exitCode: exitCodes.hostNotFit,
  })
}

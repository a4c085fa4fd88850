/** Compares the packages of an image with those that its archives have today. */

import { debianArchives, type Mirror } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { archivesOf } from '../debian/archives.ts'
import { withoutArchitecture } from '../debian/dpkg-status.ts'
import { loadArchives } from '../debian/load-archives.ts'
import { findUpdates } from '../debian/updates.ts'
import { messageOf, PipelineError } from '../errors.ts'
import { withinLimit } from '../host/within-limit.ts'
import type { Freshness, KnownFreshness } from '../report/freshness.ts'
import { layersOf } from '../store/chain.ts'
import { packagesOf } from '../store/packages.ts'
import type { Plan } from './plan.ts'

export interface FreshnessRequest {
  readonly image: Pick<ResolvedImage, 'suite' | 'debianArch' | 'mirror' | 'freshness'>
  /** Versions by name, as dpkg in the image lists them. */
  readonly packages: ReadonlyMap<string, string>
  /** Remembers what the archives have served, if there ever was a build in it. */
  readonly outFolder: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Compares with the signed indexes of suite, updates and security archive.
 * @throws PipelineError with a code that begins with `mirror-` or `keyring-`
 */
export async function judgeFreshness(request: FreshnessRequest): Promise<KnownFreshness> {
  const { image, packages, outFolder, signal } = request
  const checkedAt = new Date().toISOString()
  const loaded = await loadArchives(archivesOf({ ...image, mirror: mirrorOfToday(image) }), outFolder, signal)
  const updates = findUpdates(
    new Map([...packages].map(([name, version]) => [withoutArchitecture(name), version])),
    loaded.flatMap(({ indexes }) => indexes),
  )
  return {
    status: updates.length === 0 ? 'current' : 'outdated',
    checkedAt,
    archives: loaded.map(({ request: { suite, url }, release }) => ({
      suite,
      url,
      date: release.date.toISOString(),
    })),
    updates: [...updates],
  }
}

/** A read-only command waits no longer than this, then reports that it does not know. */
const defaultPatienceMs = 5_000

/** The same for read-only commands: never fails, and takes a few seconds at most. */
export async function lookAtFreshness(
  request: FreshnessRequest,
  patienceMs = defaultPatienceMs,
): Promise<Freshness> {
  const { signal } = request
  return withinLimit(patienceMs, signal, async (within) => {
    try {
      return await judgeFreshness({ ...request, signal: within })
    } catch (error) {
      signal?.throwIfAborted()
      const isLate = within.aborted
      if (!isLate && !(error instanceof PipelineError)) throw error
      const reason = isLate ? `the archives did not answer within ${patienceMs / 1000} s` : messageOf(error)
      return { status: 'unknown', checkedAt: new Date().toISOString(), reason }
    }
  })
}

/** The packages of the layers that a plan already has; empty if layer 0 has to be made. */
export function packagesOfPlan(plan: Plan): ReadonlyMap<string, string> {
  return packagesOf(layersOf(plan).flatMap(({ cached }) => cached ?? []))
}

// --- internal ---

/** A snapshot never gets updates; they appear in the live archives. */
function mirrorOfToday({ mirror, freshness }: FreshnessRequest['image']): Mirror {
  const { debian, security, keyring } = mirror.snapshot === undefined ? mirror : debianArchives
  return {
    ...mirror,
    snapshot: undefined,
    debian: freshness.debian ?? debian,
    security: freshness.security ?? security,
    keyring: freshness.keyring ?? keyring,
  }
}

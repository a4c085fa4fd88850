/** Whether an image is recent enough to be released: no missing security update, and no outdated base. */

import { baseAge, type FreshnessSettings, type FreshnessWaiver } from '../config/freshness.ts'
import type { Inputs } from '../provenance/inputs.ts'
import { type Freshness, listOf, type Update } from '../report/freshness.ts'
import type { ReleaseException } from './record.ts'

export interface FreshnessQuestion {
  readonly freshness: Freshness
  readonly settings: FreshnessSettings
  /** Limit from the command line, which overrides the settings. */
  readonly maximumAgeDays: number | undefined
  /** Archives that the image was made from; undefined if that is not recorded. */
  readonly archives: Inputs['archives'] | undefined
  readonly now: Date
}

export interface FreshnessVerdict {
  readonly exceptions: readonly ReleaseException[]
  /** Waivers that made a difference. */
  readonly waived: readonly FreshnessWaiver[]
}

/** Pure: judges what is known. */
export function judgeUpdates(question: FreshnessQuestion): FreshnessVerdict {
  const { freshness, settings, now } = question
  const { current, expired } = sortWaivers(settings.waivers, now)
  const security = freshness.status === 'unknown' ? [] : freshness.updates.filter((one) => one.security)
  const isOf = (accepts: string) => (update: Update) => [update.name, update.source].includes(accepts)
  const isWaived = (update: Update) => current.some(({ accepts }) => isOf(accepts)(update))
  const missing = security.filter((update) => !isWaived(update))
  const age = judgeAge(question)
  const isAgeWaived = age !== undefined && current.some(({ accepts }) => accepts === baseAge)
  const over = expired.filter(({ accepts }) =>
    accepts === baseAge ? age !== undefined : missing.some(isOf(accepts)),
  )
  return {
    exceptions: [
      ...(freshness.status === 'unknown'
        ? [
            {
              kind: 'unchecked' as const,
              text: `missing security updates are not known: ${freshness.reason}`,
            },
          ]
        : []),
      ...(missing.length === 0
        ? []
        : [{ kind: 'outdated' as const, text: `security updates are missing: ${listOf(missing, 20)}` }]),
      ...(age === undefined || isAgeWaived ? [] : [age]),
      ...over.map(({ accepts, until }) => ({
        kind: 'outdated' as const,
        text: `the waiver of ${accepts} ended on ${until}`,
      })),
    ],
    waived: current.filter(({ accepts }) =>
      accepts === baseAge ? isAgeWaived : security.some(isOf(accepts)),
    ),
  }
}

// --- internal ---

/** The last day is included, in UTC. */
function sortWaivers(waivers: readonly FreshnessWaiver[], now: Date) {
  const today = now.toISOString().slice(0, 10)
  return {
    current: waivers.filter(({ until }) => until >= today),
    expired: waivers.filter(({ until }) => until < today),
  }
}

const dayMs = 86_400_000

function judgeAge({
  settings,
  maximumAgeDays,
  archives,
  now,
}: FreshnessQuestion): ReleaseException | undefined {
  const limit = maximumAgeDays ?? settings.maximumAgeDays
  if (limit === undefined) return undefined
  const date = dateOfBase(archives ?? [])
  if (date === undefined) {
    return {
      kind: 'unchecked',
      text: 'its age is not known: the archives that layer 0 was made from are not recorded',
    }
  }
  const days = Math.floor((now.getTime() - date.getTime()) / dayMs)
  if (days <= limit) return undefined
  const day = date.toISOString().slice(0, 10)
  return {
    kind: 'outdated',
    text: `layer 0 is from ${day}, ${days} days old; at most ${limit} are allowed`,
  }
}

/**
 * When the newest of the archives that layer 0 was made from was published: a signed date, which is correct for a snapshot
 * too. A later layer may have used a later Release file of the same suite, so the earliest of each counts.
 */
function dateOfBase(archives: Inputs['archives']): Date | undefined {
  const earliest = new Map<string, string>()
  for (const { suite, date } of archives) {
    const known = earliest.get(suite)
    if (known === undefined || date < known) earliest.set(suite, date)
  }
  const newest = [...earliest.values()].sort().at(-1)
  return newest === undefined ? undefined : new Date(newest)
}

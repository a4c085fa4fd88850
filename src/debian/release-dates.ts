/** When a Release file was made and how long it is valid, judged the way apt judges it. */

import { exitCodes, PipelineError } from '../errors.ts'

/** The archive that a Release file belongs to. */
interface Dated {
  readonly url: string
  readonly suite: string
  /** Instant of a snapshot archive; its Release files are expected to be expired. */
  readonly snapshot?: string | undefined
}

/** apt's `Acquire::Max-FutureTime`: clocks differ by a few seconds. */
const maximumFutureMs = 10_000

/**
 * Parses a date in a Release file, e.g. `Sat, 12 Sep 2026 07:55:41 UTC`. Other time zones are refused, as in apt: JavaScript
 * would take a date without a zone as local time.
 */
export function parseReleaseDate(text: string | undefined): Date | undefined {
  const match =
    /^(?:[A-Z][a-z]{2}, )?(\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2}) (?:UTC|GMT|Z|[+-]0000)$/.exec(
      text ?? '',
    )
  const date = new Date(match?.[1] === undefined ? Number.NaN : `${match[1]} UTC`)
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** @throws PipelineError `mirror-not-yet-valid`, `mirror-expired` */
export function requireCurrent(request: Dated, date: Date, validUntil: string | undefined, now: Date): void {
  if (date.getTime() > now.getTime() + maximumFutureMs) throw notYetValid(request, date, now)
  if (validUntil === undefined || request.snapshot !== undefined) return
  const until = parseReleaseDate(validUntil)
  if (until === undefined || until < now) throw expired(request, validUntil, now)
}

/**
 * Refuses a Release file older than one that this mirror has already served. Signatures do not expire, so a man in the middle
 * could serve last month's packages forever.
 * @throws PipelineError `mirror-rolled-back`
 */
export function requireNotOlder(request: Dated, date: Date, seen: Date, memory: string): void {
  if (date >= seen) return
  throw new PipelineError({
    code: 'mirror-rolled-back',
    message: `${request.url} serves the ${request.suite} of ${date.toISOString()}, but has already served that of ${seen.toISOString()}`,
    hint: `one of its servers may be behind: try again in a few minutes, or use another mirror. If the archive was set back on purpose, remove ${memory}.`,
    exitCode: exitCodes.hostNotFit,
    details: { url: request.url, suite: request.suite, date: date.toISOString(), seen: seen.toISOString() },
  })
}

// --- internal ---

function notYetValid({ url, suite }: Dated, date: Date, now: Date): PipelineError {
  return new PipelineError({
    code: 'mirror-not-yet-valid',
    message: `the Release file of ${suite} at ${url} is dated ${date.toUTCString()}; it is now ${now.toUTCString()}`,
    hint: "this host's clock is behind: set it. If it is right, use another mirror.",
    exitCode: exitCodes.hostNotFit,
    details: { url, suite, date: date.toISOString() },
  })
}

function expired({ url, suite }: Dated, validUntil: string, now: Date): PipelineError {
  return new PipelineError({
    code: 'mirror-expired',
    message: `the Release file of ${suite} at ${url} was valid until ${validUntil}; it is now ${now.toUTCString()}`,
    hint: "the mirror is no longer updated, or this host's clock is wrong; a snapshot archive needs mirror.snapshot.",
    exitCode: exitCodes.hostNotFit,
    details: { url, suite, validUntil },
  })
}

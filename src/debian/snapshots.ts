/**
 * Finds the instants that a snapshot archive has. An archive like snapshot.debian.org answers a request for any instant with
 * the last state before it: it redirects to the same folder at the instant of that state.
 */

import type { Mirror } from '../config/image.ts'
import { isInstant, mirrorAt } from '../config/mirror.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { request, type StreamedAnswer, unreachable } from '../host/http.ts'
import { tookLonger, withinLimit } from '../host/within-limit.ts'

const mostHops = 5
const patienceMs = 60_000

/**
 * The newest instant for which both archives of a mirror are final: the older of their newest states. After that instant, the
 * other archive may still import states that precede its own newest.
 * @param mirror with `{snapshot}` in its URLs
 * @throws PipelineError `snapshot-unknown`, `mirror-unreachable`
 */
export async function findNewestSnapshot(mirror: Mirror, now: Date, signal: AbortSignal): Promise<string> {
  const asked = instantOf(now)
  const newest = [
    await newestOf((instant) => mirrorAt(mirror, instant).debian, asked, signal),
    await newestOf((instant) => mirrorAt(mirror, instant).security, asked, signal),
  ]
  return newest.sort()[0] as string
}

// --- internal ---

/** `20261101T000000Z` */
function instantOf(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

async function newestOf(
  urlAt: (instant: string) => string,
  asked: string,
  signal: AbortSignal,
): Promise<string> {
  const first = `${urlAt(asked)}/`
  let url = first
  for (let hops = 0; hops < mostHops; hops += 1) {
    const { status, headers } = await answerOf(url, signal)
    // A state that was made this very second.
    if (status === 200) return asked
    const { location } = headers
    const next =
      typeof location === 'string' && URL.canParse(location, url) ? new URL(location, url) : undefined
    if (status < 300 || status > 399 || next === undefined) throw unknown(first, `it answers HTTP ${status}`)
    const found = instantIn(next, urlAt)
    if (found === undefined) throw unknown(first, `it redirects to ${next.href}`)
    if (found !== asked) return found
    // The same folder under another scheme or host.
    url = next.href
  }
  throw unknown(first, `it redirects too often, last to ${url}`)
}

/** An answer without its content. @throws PipelineError `mirror-unreachable` */
async function answerOf(
  url: string,
  signal: AbortSignal,
): Promise<Pick<StreamedAnswer, 'status' | 'headers'>> {
  return withinLimit(
    patienceMs,
    signal,
    async (within) => {
      const answer = await request(url, { method: 'GET', headers: {}, signal: within }, false)
      await answer.body[Symbol.asyncIterator]().return?.()
      return answer
    },
    () => unreachable(url, tookLonger(patienceMs)),
  )
}

/** The instant in a URL whose path matches the archive's, on any host; undefined if it does not match. */
function instantIn({ pathname }: URL, urlAt: (instant: string) => string): string | undefined {
  const path = pathname.replace(/\/+$/, '')
  return path.split('/').find((part) => isInstant(part) && new URL(urlAt(part)).pathname === path)
}

function unknown(url: string, why: string): PipelineError {
  return new PipelineError({
    code: 'snapshot-unknown',
    message: `${url} does not say which snapshot is its newest: ${why}`,
    hint: 'check the URL of the snapshot archive. If it limits requests, it may answer again in an hour. You can also set mirror.snapshot to an instant.',
    exitCode: exitCodes.hostNotFit,
    details: { url },
  })
}

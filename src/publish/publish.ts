/** Publishes a release: leaves what is already there, and sends what vouches for the rest last. */

import { exitCodes, PipelineError } from '../errors.ts'
import { parseChecksums } from '../host/checksum-list.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { filesOf, isOfPackages, parseReleaseRecord, releaseFiles } from '../release/record.ts'
import { plural } from '../report/format.ts'
import { parseJson } from '../text.ts'
import type { Destination, Found, SentFile } from './destination.ts'
import { lastFiles } from './release-files.ts'

/** What happens to a file. */
export type Fate = 'send' | 'keep' | 'replace' | 'remove'

export interface PlannedFile {
  readonly name: string
  /** 0 for a file that only the destination has. */
  readonly sizeBytes: number
  readonly fate: Fate
}

export interface PublishPlan {
  readonly files: readonly PlannedFile[]
  /** Names to remove before anything is sent, in this order. */
  readonly withdrawn: readonly string[]
  /** Bytes to send, if no part of them is there yet. */
  readonly sentBytes: number
}

/** Progress of publishing. */
export interface Step {
  readonly name: string
  readonly doneBytes: number
  /** The part of them that this attempt has sent. */
  readonly sentBytes: number
  readonly sizeBytes: number
}

/**
 * Compares a release with what is published; changes nothing.
 * @param files in the order in which they are sent
 * @param mayReplace whether another release may be there
 * @throws PipelineError `published-already` if one is there and may not be
 */
export async function planPublishing(
  files: readonly SentFile[],
  destination: Destination,
  mayReplace: boolean,
  signal: AbortSignal,
): Promise<PublishPlan> {
  const found = await someAtATime(files, (file) => destination.compare(file, signal), 4)
  const others = files.filter((_, index) => found[index] === 'another')
  if (others.length > 0 && !mayReplace) throw publishedAlready(destination, others)
  const isReplaced = others.length > 0
  const former = isReplaced ? await namesPublished(destination, signal) : []
  const extra = former.filter((name) => !files.some((file) => file.name === name))
  const planned = files.map(
    ({ name, sizeBytes }, index): PlannedFile => ({
      name,
      sizeBytes,
      fate: fateOf(found[index] as Found, isReplaced && lastFiles.includes(name)),
    }),
  )
  const sent = planned.filter(({ fate }) => fate !== 'keep')
  return {
    files: [...planned, ...extra.map((name) => ({ name, sizeBytes: 0, fate: 'remove' as const }))],
    withdrawn: isReplaced ? withdrawalOf(extra) : [],
    sentBytes: sent.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

/**
 * Carries out the plan.
 * @throws PipelineError what the destination throws; what is there by then is left for the next attempt
 */
export async function publish(
  { files: planned, withdrawn }: PublishPlan,
  files: readonly SentFile[],
  destination: Destination,
  { onStep, onDone }: { readonly onStep: (step: Step) => void; readonly onDone: (name: string) => void },
  signal: AbortSignal,
): Promise<void> {
  for (const name of withdrawn) await destination.remove(name, signal)
  const kept = new Set(planned.flatMap(({ name, fate }) => (fate === 'keep' ? [name] : [])))
  for (const file of files) {
    signal.throwIfAborted()
    if (kept.has(file.name)) continue
    const { name, sizeBytes } = file
    onStep({ name, doneBytes: 0, sentBytes: 0, sizeBytes })
    const onBytes = (doneBytes: number, sentBytes: number) =>
      onStep({ name, doneBytes, sentBytes, sizeBytes })
    await destination.put(file, onBytes, signal)
    onDone(name)
  }
}

// --- internal ---

/** @param isWithdrawn whether the file is removed first, whatever it is */
function fateOf(found: Found, isWithdrawn: boolean): Fate {
  if (found === 'nothing') return 'send'
  return found === 'another' || isWithdrawn ? 'replace' : 'keep'
}

/** First, what vouches for the release that was there: nobody must mistake files of two releases for one. */
function withdrawalOf(extra: readonly string[]): readonly string[] {
  return [...[...lastFiles].reverse(), ...extra]
}

/** Limits an untrusted list: it must not refer to other folders, nor be endless. */
const mostNames = 10_000
const fileName = /^(?!\.{1,2}$)[^/\\\p{Cc}]{1,255}$/u

/** Names of files that are published there, from the checksum list and from the record, which a withdrawal leaves in place. */
async function namesPublished(destination: Destination, signal: AbortSignal): Promise<readonly string[]> {
  const list = await destination.readText(releaseFiles.checksums.sha512, signal)
  const text = await destination.readText(releaseFiles.record, signal)
  const record = text === undefined ? undefined : parseReleaseRecord(parseJson(text))
  const recorded = record?.variants.flatMap(filesOf) ?? []
  const names = new Set([...parseChecksums(list ?? '').keys(), ...recorded])
  return [...names].filter((name) => fileName.test(name) || isOfPackages(name)).slice(0, mostNames)
}

function publishedAlready(destination: Destination, others: readonly SentFile[]): PipelineError {
  const names = others.map(({ name }) => name)
  return new PipelineError({
    code: 'published-already',
    message: `${destination.label} has ${plural(others.length, 'other file')} under the names of this release: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
    hint: 'publish it elsewhere, or with --replace, which withdraws the release there first. Nothing was changed.',
    exitCode: exitCodes.badInput,
    details: { files: names },
  })
}

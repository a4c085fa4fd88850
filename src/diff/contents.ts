/** Differences between the contents of files, line by line for texts that may be shown. */

import { createTwoFilesPatch } from 'diff'
import type { DiskFile, DiskFiles } from '../disk/disk-files.ts'
import { showName } from '../disk/names.ts'
import type { DiskDifference } from './compare.ts'
import { isSecret, maskSecrets } from './secrets.ts'

/** A file's size and sha256, in place of its content. */
export interface Fingerprint {
  readonly sizeBytes: number
  readonly sha256: string
}

/** The difference between two contents of a file; `before` is undefined if it was added, `after` if it was removed. */
export type ContentDifference =
  /** Lines of a unified diff. */
  | { readonly kind: 'lines'; readonly lines: readonly string[] }
  | {
      readonly kind: 'fingerprints'
      readonly why: 'binary' | 'large' | 'secret'
      readonly before: Fingerprint | undefined
      readonly after: Fingerprint | undefined
    }

/** Configuration folders, whose files are shown line by line. */
export const shownFolders: readonly string[] = ['/etc', '/usr/lib/systemd', '/lib/systemd']

/** Nobody reads a text larger than this. */
const largeBytes = 1024 * 1024

/** Time limit per file: comparing two texts with nothing in common takes forever. */
const diffMs = 2000

/** Content differences of all regular files, by path. All are held in memory, so narrow the difference first. */
export async function compareContents(
  difference: DiskDifference,
  before: DiskFiles,
  after: DiskFiles,
): Promise<ReadonlyMap<string, ContentDifference>> {
  const pairs = listPairs(difference)
  const [old, now] = await Promise.all([
    readSide(before, pairs, ([file]) => file),
    readSide(after, pairs, ([, file]) => file),
  ])
  const found = new Map<string, ContentDifference>()
  for (const [one, other] of pairs) {
    const path = (one ?? other)?.path ?? ''
    found.set(path, compareContent(path, old.get(path), now.get(path)))
  }
  return found
}

// --- internal ---

type Pair = readonly [before: DiskFile | undefined, after: DiskFile | undefined]

/** Regular files whose content differs; a file that changed its type counts as added or removed. */
function listPairs({ added, removed, changed }: DiskDifference): readonly Pair[] {
  const regular = (file: DiskFile) => (file.type === 'file' ? file : undefined)
  const all: readonly Pair[] = [
    ...removed.map((file) => [regular(file), undefined] as const),
    ...added.map((file) => [undefined, regular(file)] as const),
    ...changed
      .filter(({ aspects }) => aspects.includes('content') || aspects.includes('type'))
      .map((file) => [regular(file.before), regular(file.after)] as const),
  ]
  return all.filter(([before, after]) => before !== undefined || after !== undefined)
}

/** A file as read: its digest, and its content if that is small. */
interface Side extends Fingerprint {
  readonly content: Buffer | undefined
}

async function readSide(
  disk: DiskFiles,
  pairs: readonly Pair[],
  choose: (pair: Pair) => DiskFile | undefined,
): Promise<ReadonlyMap<string, Side>> {
  const files = pairs.flatMap((pair) => choose(pair) ?? [])
  const small = files.filter(({ sizeBytes }) => sizeBytes <= largeBytes)
  const contents = await disk.readMany(small.map(({ path }) => path))
  const digests = await disk.digests(files.map(({ path }) => path))
  return new Map(
    files.map(({ path, sizeBytes }) => [
      path,
      { sizeBytes, sha256: digests.get(path) ?? '', content: contents.get(path) },
    ]),
  )
}

function compareContent(path: string, before: Side | undefined, after: Side | undefined): ContentDifference {
  const fingerprint = (side: Side | undefined) =>
    side === undefined ? undefined : { sizeBytes: side.sizeBytes, sha256: side.sha256 }
  const opaque = (why: 'binary' | 'large' | 'secret'): ContentDifference => ({
    kind: 'fingerprints',
    why,
    before: fingerprint(before),
    after: fingerprint(after),
  })
  if (isSecret(path)) return opaque('secret')
  if ([before, after].some((side) => side !== undefined && side.content === undefined)) return opaque('large')
  const [old, now] = [before, after].map((side) => decodeText(side?.content))
  if (old === undefined || now === undefined) return opaque('binary')
  const lines = diffTexts(path, before && maskSecrets(path, old), after && maskSecrets(path, now))
  return lines === undefined ? opaque('large') : { kind: 'lines', lines }
}

/** The bytes as text; undefined if they are not text. */
function decodeText(content: Buffer | undefined): string | undefined {
  if (content === undefined) return ''
  if (content.includes(0)) return undefined
  const text = content.toString('utf8')
  return text.includes('\ufffd') ? undefined : text
}

function diffTexts(path: string, before: string | undefined, after: string | undefined) {
  const name = (side: string, text: string | undefined) =>
    text === undefined ? '/dev/null' : `${side}${showName(path)}`
  const patch = createTwoFilesPatch(
    name('a', before),
    name('b', after),
    before ?? '',
    after ?? '',
    undefined,
    undefined,
    { context: 2, timeout: diffMs },
  )
  // The first line of a patch is a separator.
  return patch?.trimEnd().split('\n').slice(1)
}

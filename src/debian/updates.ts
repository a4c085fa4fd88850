/** Packages that an archive has in a newer version than an image. */

import type { Update } from '../report/freshness.ts'
import { compareVersions } from './version.ts'

/** The package index of one archive. */
export interface ArchiveIndex {
  readonly suite: string
  readonly isSecurity: boolean
  /** The text of `Packages`. */
  readonly text: Buffer
}

/**
 * The newest version of each package that is newer than the installed one, sorted by name, those of the security archive
 * first.
 * @param installed versions by name
 */
export function findUpdates(
  installed: ReadonlyMap<string, string>,
  indexes: readonly ArchiveIndex[],
): readonly Update[] {
  const updates = new Map<string, Update>()
  for (const { suite, isSecurity, text } of indexes) {
    for (const { name, version, source } of stanzasOf(text)) {
      const here = installed.get(name)
      if (here === undefined || here === version || compareVersions(version, here) <= 0) continue
      const known = updates.get(name)
      const isNewest = known === undefined || compareVersions(version, known.available) > 0
      updates.set(name, {
        name,
        source: source(),
        installed: here,
        ...(isNewest ? { available: version, suite } : { available: known.available, suite: known.suite }),
        // Also if another archive has a still newer version: the fix is missing here.
        security: isSecurity || known?.security === true,
      })
    }
  }
  return [...updates.values()].sort(
    (a, b) => Number(b.security) - Number(a.security) || (a.name < b.name ? -1 : 1),
  )
}

// --- internal ---

interface Stanza {
  readonly name: string
  readonly version: string
  readonly source: () => string
}

/** An index of Debian has 70,000 stanzas in 56 MB: only two lines of each are looked at. */
function* stanzasOf(text: Buffer): Generator<Stanza> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf('\n\n', start)
    const [from, end] = [start, found === -1 ? text.length : found]
    const name = fieldOf(text, 'Package: ', start, end)
    const version = name === undefined ? undefined : fieldOf(text, 'Version: ', start, end)
    if (name !== undefined && version !== undefined) {
      // `name (version)`, only if it differs from the package's own.
      const source = () => fieldOf(text, 'Source: ', from, end)?.split(' ')[0] ?? name
      yield { name, version, source }
    }
    start = end + 2
  }
}

function fieldOf(text: Buffer, field: string, start: number, end: number): string | undefined {
  const at = text.subarray(start, end).indexOf(field)
  // At the beginning of a line, not within the text of another field.
  if (at === -1 || (at > 0 && text[start + at - 1] !== newline)) return undefined
  const from = start + at + field.length
  const lineEnd = text.indexOf('\n', from)
  return text.toString('latin1', from, lineEnd === -1 || lineEnd > end ? end : lineEnd)
}

const newline = 10

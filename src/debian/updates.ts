/** Packages for which an archive has a newer version than the image. */

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
    for (const { name, version, source } of stanzasOf(text, installed)) {
      const here = installed.get(name) ?? ''
      if (here === version || compareVersions(version, here) <= 0) continue
      const known = updates.get(name)
      const isNewest = known === undefined || compareVersions(version, known.available) > 0
      updates.set(name, {
        name,
        source: source(),
        installed: here,
        ...(isNewest ? { available: version, suite } : { available: known.available, suite: known.suite }),
        // True even if another archive has a still newer version, because the fix is missing here.
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

/** The stanzas of installed packages. A Debian index has 70,000 in 56 MB, so only the name of every other stanza is read. */
function* stanzasOf(text: Buffer, installed: ReadonlyMap<string, string>): Generator<Stanza> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf('\n\n', start)
    const [from, end] = [start, found === -1 ? text.length : found]
    const name = fieldOf(text, 'Package: ', from, end)
    if (name !== undefined && installed.has(name)) {
      const version = fieldOf(text, 'Version: ', from, end) ?? ''
      // `name (version)`, only if it differs from the package's own.
      const source = () => fieldOf(text, 'Source: ', from, end)?.split(' ')[0] ?? name
      yield { name, version, source }
    }
    start = end + 2
  }
}

/** @param field with its colon and space */
function fieldOf(text: Buffer, field: string, start: number, end: number): string | undefined {
  const stanza = text.subarray(start, end)
  const isFirst = stanza.toString('latin1', 0, field.length) === field
  const at = isFirst ? 0 : stanza.indexOf(`\n${field}`) + 1
  if (!isFirst && at === 0) return undefined
  const lineEnd = stanza.indexOf('\n', at)
  return stanza.toString('latin1', at + field.length, lineEnd === -1 ? stanza.length : lineEnd)
}

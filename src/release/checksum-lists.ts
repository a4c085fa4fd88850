/** The checksum lists of a release. */

import { algorithms, type Checksums } from '../export/checksums.ts'
import { parseChecksums, renderChecksumList } from '../host/checksum-list.ts'
import type { Reads } from './reads.ts'
import { type Blame, releaseFiles, unlistedFiles } from './record.ts'
import type { Statement } from './statement.ts'

/** The list for one algorithm: the same files always give the same text. */
export function renderList(
  checksums: ReadonlyMap<string, Checksums>,
  algorithm: (typeof algorithms)[number],
): string {
  const ofAlgorithm = [...checksums].map(([name, each]) => [name, each[algorithm]] as const)
  return renderChecksumList({ checksums: new Map(ofAlgorithm), others: [] })
}

/**
 * A list has exactly one correct text. If it differs, either a file was changed, and then the statement or the other lists
 * also disagree with that file, or the list itself was changed.
 */
export async function compareWithLists(
  statement: Statement | undefined,
  checksums: ReadonlyMap<string, Checksums>,
  blame: Blame,
  { read }: Reads,
): Promise<void> {
  const covered = new Map([...checksums].filter(([name]) => !unlistedFiles.includes(name)))
  const texts = await Promise.all(
    algorithms.map((algorithm) => read(releaseFiles.checksums[algorithm]).then(String, () => undefined)),
  )
  const isStated = new Set(
    statement?.subject.flatMap(({ name, digest }) =>
      checksums.get(name)?.sha256 === digest.sha256 ? [name] : [],
    ),
  )
  const disagreeing = algorithms.map((algorithm, index) => {
    const listed = parseChecksums(texts[index] ?? '')
    return new Set([...covered.keys()].filter((name) => listed.get(name) !== covered.get(name)?.[algorithm]))
  })
  for (const [index, algorithm] of algorithms.entries()) {
    const text = texts[index]
    const name = releaseFiles.checksums[algorithm]
    if (text === undefined) blame(name, 'it is missing')
    if (text === undefined || text === renderList(covered, algorithm)) continue
    const others = disagreeing.filter((_, other) => other !== index)
    const own = disagreeing[index] as ReadonlySet<string>
    const changed = [...own].filter((file) => !isStated.has(file) && others.some((set) => set.has(file)))
    for (const file of changed) blame(file, 'its checksums are not those of the lists')
    const isOthersFault = hasFault(disagreeing, index) && [...own].every((file) => !isStated.has(file))
    if (changed.length === 0 && !isOthersFault) blame(name, 'it is not the list of these files')
  }
}

/** Whether the other lists disagree with the same files: then it is not the list that was changed. */
function hasFault(disagreeing: readonly ReadonlySet<string>[], index: number): boolean {
  const own = disagreeing[index] as ReadonlySet<string>
  const others = disagreeing.filter((_, other) => other !== index)
  return own.size > 0 && [...own].every((file) => others.every((set) => set.has(file)))
}

/** Which file in `src/` imports which. */

import { readdirSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

export const project = fileURLToPath(new URL('../../', import.meta.url))

export const read = (path: string) => readFileSync(join(project, path), 'utf8')

export interface Import {
  readonly from: string
  readonly to: string
  /** `path:line`, as editors and terminals open it. */
  readonly at: string
}

/** Every source file, as a path in the project. */
export const files = readdirSync(join(project, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.[jt]s$/.test(name))
  .map((name) => join('src', name))

export const imports: readonly Import[] = files.flatMap((from) =>
  read(from)
    .split('\n')
    .flatMap((line, index) => {
      const path = /(?:\bfrom |^import |\bimport\()'(\.[^']+)'/.exec(line)?.[1]
      if (path === undefined) return []
      return [{ from, to: normalize(join(from, '..', path)), at: `${from}:${index + 1}` }]
    }),
)

/** The files in a folder, and everything that they import, directly or indirectly. */
export function importedFrom(folder: string): readonly string[] {
  const reached = new Set(files.filter((path) => path.startsWith(folder)))
  // Iterating a set includes elements that are added meanwhile.
  for (const path of reached) for (const { from, to } of imports) if (from === path) reached.add(to)
  return [...reached]
}

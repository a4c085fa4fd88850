/** The differences between two lists of installed packages. */

import type { PackageChange } from '../report/report.ts'

/** @param before versions by name */
export function comparePackages(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): PackageChange {
  const added = [...after].filter(([name]) => !before.has(name))
  const removed = [...before].filter(([name]) => !after.has(name))
  const upgraded = [...after].flatMap(([name, to]) => {
    const from = before.get(name)
    return from === undefined || from === to ? [] : [{ name, from, to }]
  })
  const named = (list: [string, string][]) => list.map(([name, version]) => ({ name, version }))
  return { added: named(added), removed: named(removed), upgraded }
}

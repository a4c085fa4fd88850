/** The packages of an image, from the changes that its layers recorded. */

import type { PackageChange } from '../report/report.ts'

/** Versions by name, after a chain of changes, lowest first. */
export function packagesOf(layers: readonly { readonly packages: PackageChange }[]): Map<string, string> {
  const packages = new Map<string, string>()
  for (const { packages: change } of layers) {
    for (const { name } of change.removed) packages.delete(name)
    for (const { name, version } of change.added) packages.set(name, version)
    for (const { name, to } of change.upgraded) packages.set(name, to)
  }
  return packages
}

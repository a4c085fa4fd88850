/** The packages of an image, from the changes that its layers recorded. */

import type { PackageChange } from '../report/report.ts'
import type { Layer } from './layer-record.ts'

/** Whether a layer has packages from a mirror as it was then: every layer 0, and layers of stages that installed some. */
export function bringsPackages({ parent, packages }: Pick<Layer, 'parent' | 'packages'>): boolean {
  return parent === null || packages.added.length + packages.upgraded.length > 0
}

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

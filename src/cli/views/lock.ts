/** How a lock changes, for people and for programs. */

import { comparePackages } from '../../debian/compare-packages.ts'
import { compareLocks, type LockedVariant } from '../../provenance/lock.ts'
import { plural } from '../../report/format.ts'
import type { PackageChange } from '../../report/report.ts'

export interface LockChange {
  readonly variant: string
  /** One line per difference. */
  readonly changes: readonly string[]
  readonly packages: PackageChange
  /** Packages whose new version is a security fix; absent if no archive was queried. */
  readonly security?: readonly string[]
}

export function describeChange(
  variant: string,
  before: LockedVariant | undefined,
  after: LockedVariant,
  security?: readonly string[],
): LockChange {
  return {
    variant,
    changes: compareLocks(before, after, security),
    packages: comparePackages(versionsOf(before), versionsOf(after)),
    ...(security === undefined ? {} : { security }),
  }
}

/** `trixie-x86_64: 14 changes; packages: 1 added, 1 removed, 11 upgraded; security fixes: 2`, and every change. */
export function renderChange({ variant, changes, packages, security }: LockChange): string {
  if (changes.length === 0) return `${variant}: nothing changes\n`
  const counts = (['added', 'removed', 'upgraded'] as const).flatMap((kind) =>
    packages[kind].length === 0 ? [] : [`${packages[kind].length} ${kind}`],
  )
  const fixes = security === undefined ? [] : [`security fixes: ${security.length}`]
  const head = [
    plural(changes.length, 'change'),
    ...(counts.length > 0 ? [`packages: ${counts.join(', ')}`] : []),
    ...fixes,
  ]
  return `${variant}: ${head.join('; ')}\n${changes.map((line) => `  ${line}\n`).join('')}`
}

// --- internal ---

function versionsOf(locked: LockedVariant | undefined): ReadonlyMap<string, string> {
  return new Map(Object.entries(locked?.packages ?? {}).map(([name, { version }]) => [name, version]))
}

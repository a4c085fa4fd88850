/** The packages of an image: versions, sizes, licenses, and newer versions in the archives. */

import { withoutPrefix } from '../debian/license-names.ts'
import { formatBytes } from '../report/format.ts'
import { describeFreshness } from '../report/freshness.ts'
import type { Report } from '../report/report.ts'
import { usageOf } from './sizes.ts'
import { count } from './texts.ts'

export interface PackagesView {
  readonly rows: readonly PackageRow[]
  readonly pending: number
  /** Whether a stage, not layer 0, installed any of the packages. */
  readonly hasOrigins: boolean
  readonly summary: string
  readonly updates: string | undefined
}

interface PackageRow {
  readonly name: string
  readonly version: string
  readonly size: string
  readonly sizeBytes: number
  readonly licenses: string
  readonly from: string
  readonly update: string
  readonly isSecurity: boolean
  readonly tags: string
}

/** Undefined if the report does not list them. */
export function viewPackages(report: Report): PackagesView | undefined {
  const { packages, freshness } = report
  if (packages === undefined) return undefined
  const sizes = new Map(usageOf(report)?.packages.map(({ name, sizeBytes }) => [name, sizeBytes]))
  const updates = new Map(
    freshness === undefined || freshness.status === 'unknown'
      ? []
      : freshness.updates.map((update) => [update.name, update]),
  )
  const origins = originsOf(report)
  const rows = packages.map(({ name, version, licenses }): PackageRow => {
    const size = sizes.get(withoutArchitecture(name))
    const update = updates.get(withoutArchitecture(name))
    return {
      name,
      version,
      size: size === undefined ? '' : formatBytes(size),
      sizeBytes: size ?? 0,
      licenses: licenses.map(withoutPrefix).join(', '),
      from: origins.get(withoutArchitecture(name)) ?? '',
      update: update === undefined ? '' : `${update.available} in ${update.suite}`,
      isSecurity: update?.security ?? false,
      tags: update === undefined ? '' : 'pending',
    }
  })
  const licensed = packages.filter(({ licenses }) => licenses.length > 0).length
  const share = Math.floor((100 * licensed) / Math.max(1, packages.length))
  return {
    rows,
    pending: rows.filter(({ tags }) => tags !== '').length,
    hasOrigins: origins.size > 0,
    summary: `${count(packages.length, 'package')}; the licenses of ${licensed} (${share}%) are known from their copyright files${origins.size > 0 ? '' : '; all came with layer 0'}.`,
    updates: freshness && describeFreshness(freshness),
  }
}

// --- internal ---

/** The stage that added or last upgraded a package, by the package's name. */
function originsOf({ stages }: Report): ReadonlyMap<string, string> {
  return new Map(
    stages.flatMap(({ name: stage, packages: { added, upgraded } }) =>
      [...added, ...upgraded].map(({ name }) => [withoutArchitecture(name), stage] as const),
    ),
  )
}

function withoutArchitecture(name: string): string {
  return name.split(':')[0] as string
}

/** The result of rebuilding a release, for people. */

import { showName } from '../../disk/names.ts'
import { isIdentical, type RebuiltVariant } from '../../release/rebuild.ts'
import { type Colors, formatTable, plural } from '../../report/format.ts'
import type { RebuiltDifference } from '../rebuilt-difference.ts'
import { renderDiff } from './diff.ts'
import { cut, limits } from './diff-section.ts'

export function renderRebuilt(variants: readonly RebuiltVariant[]): string {
  const rows = variants.flatMap(({ files }) =>
    files.map((file) => [
      file.file,
      isIdentical(file) ? 'identical' : 'differs',
      file.rebuiltSha256 ?? 'not made',
    ]),
  )
  const changes = variants.flatMap(describePackages)
  return `${[formatTable([['file', 'rebuilt', 'sha256'], ...rows]), ...changes].join('\n')}\n`
}

/** How a released file differs from its rebuild, and which layer of the build each difference starts in. */
export function renderRebuiltDifference(
  { released, rebuilt, report, layers }: RebuiltDifference,
  colors: Colors,
): string {
  const options = { colors, isFull: false }
  const origins = layers.map(({ layer, paths }) => {
    const lines = cut(paths.map(showName), limits.rows, options).map((line) => `  ${line}\n`)
    return `\n${colors.bold(`First changed in layer ${showName(layer)}: ${plural(paths.length, 'path')}`)}\n${lines.join('')}`
  })
  return `${released} → ${rebuilt}\n\n${renderDiff(report, options)}${origins.join('')}`
}

// --- internal ---

const mostNamed = 20

function describePackages({
  variant,
  packages: { added, removed, upgraded },
}: RebuiltVariant): readonly string[] {
  const names = [
    ...upgraded.map(({ name, from, to }) => `${name} ${from} → ${to}`),
    ...added.map(({ name, version }) => `${name} ${version} is new`),
    ...removed.map(({ name, version }) => `${name} ${version} is gone`),
  ]
  if (names.length === 0) return []
  const more = names.length > mostNamed ? [`… and ${names.length - mostNamed} more`] : []
  return [
    `${variant}: ${plural(names.length, 'package')} differ`,
    ...names.slice(0, mostNamed).map((name) => `  ${name}`),
    ...more,
  ]
}

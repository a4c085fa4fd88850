/** A release that was built again, for people. */

import { isIdentical, type RebuiltVariant } from '../../release/rebuild.ts'
import { formatTable, plural } from '../../report/format.ts'

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

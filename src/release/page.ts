/** `report.html` of a release: all variants side by side, as one page for people. */

import { viewChecksums } from '../pages/files.ts'
import { renderPage } from '../pages/render.ts'
import { count, formatInstant, join, presentable } from '../pages/texts.ts'
import { formatBytes, formatSeconds } from '../report/format.ts'
import { describeDelta } from '../report/markdown.ts'
import { compareReleases, type VariantChanges } from './changes.ts'
import { type ReleaseImage, type ReleaseRecord, type ReleaseVariant, releaseFiles } from './record.ts'

/** @param before the release since which changes are listed; without it, none are listed */
export function renderReleasePage(record: ReleaseRecord, before: ReleaseRecord | undefined): string {
  const shown = presentable(record)
  const { variants } = shown
  const packages = comparePackages(variants)
  const files = viewFiles(variants)
  const stages = viewStages(variants)
  return renderPage('release', {
    title: `${shown.name} ${shown.release}`,
    heading: `${shown.name} ${shown.release}`,
    tag: shown.tag,
    outcome: `${count(variants.length, 'variant')}, ${count(variants.flatMap(({ files }) => files).length, 'image file')}`,
    exceptions: shown.exceptions,
    source: describeSource(shown),
    variants: variants.map(({ variant }) => variant),
    columns: variants.length + 1,
    facts: factsOf(variants),
    files: files.rows,
    moreFiles: files.more,
    images: variants.flatMap((variant) => variant.files.map((file) => viewFile(variant, file))),
    stages: stages.rows,
    moreStages: stages.more,
    packages: packages.rows,
    morePackages: packages.more,
    differing: packages.differing,
    hasSeveral: variants.length > 1,
    updates: variants.flatMap(viewUpdates),
    changes: before && {
      since: presentable(before).release,
      variants: compareReleases(presentable(before), shown).map(viewChanges),
    },
  })
}

// --- internal ---

/** A row with a cell for each variant. */
interface Row {
  readonly name: string
  readonly cells: readonly string[]
}

function describeSource({ source, tag }: ReleaseRecord): string {
  if (source === null) return 'The commit that it was built from is unknown.'
  const where = source.repository === undefined ? '' : ` of ${source.repository}`
  const changed =
    source.changed.length === 0 ? '' : `, with ${count(source.changed.length, 'uncommitted change')}`
  return `Built from commit ${source.commit}${where}${tag === null ? '' : `, tag ${tag}`}${changed}.`
}

function factsOf(variants: readonly ReleaseVariant[]): readonly Row[] {
  const row = (name: string, of: (variant: ReleaseVariant) => string): Row => ({
    name,
    cells: variants.map(of),
  })
  return [
    row('Debian suite', ({ suite }) => suite),
    row('Architecture', ({ arch }) => arch),
    row('Layer 0 by', ({ installer }) => installer),
    row('Kernel', ({ kernel }) => kernel.join(', ') || 'none'),
    row('Packages', ({ packages }) => String(Object.keys(packages).length)),
    row('Pending updates', describeUpdates),
    row('Known vulnerabilities', describeScan),
    row('Packages pinned by', describePins),
    row('Built', ({ run }) => `${formatInstant(run.startedAt)}, in ${formatSeconds(run.durationSeconds)}`),
    row('Guests of the build', ({ run }) => run.accelerator ?? 'none'),
    row('Bills of materials', ({ sbom, spdx }) => (spdx === undefined ? sbom : `${sbom}, ${spdx}`)),
    row('Run', ({ run }) => run.id),
  ]
}

function describeUpdates({ freshness }: ReleaseVariant): string {
  if (freshness === undefined || freshness === null) return 'not known'
  const security = freshness.updates.filter((update) => update.security).length
  return `${freshness.updates.length}, ${security} for security`
}

function describeScan({ scan }: ReleaseVariant): string {
  if (scan === undefined) return 'not looked for'
  if (scan === null) return 'not looked for: no scanner was installed'
  const accepted = scan.accepted.length === 0 ? '' : `, ${scan.accepted.length} accepted`
  return `${scan.vulnerabilities}, ${scan.fixable} with a fix${accepted}, by ${scan.scanner}`
}

function describePins({ snapshot, lock }: ReleaseVariant): string {
  const by = [...(snapshot === null ? [] : [`snapshot ${snapshot}`]), ...(lock === null ? [] : ['a lock'])]
  return by.length === 0 ? 'nothing' : join(by)
}

/** Nobody reads more, and a browser takes seconds to show that many. */
const mostCells = 20_000

/**
 * The values of each variant by name, side by side, up to the maximum number of rows on a page.
 * @param values of each variant
 * @param isSorted by name; otherwise in the order of the variants
 */
function sideBySide<Value, Cell>(
  values: readonly ReadonlyMap<string, Value>[],
  cellOf: (value: Value | undefined) => Cell,
  isSorted = false,
) {
  const names = [...new Set(values.flatMap((one) => [...one.keys()]))]
  if (isSorted) names.sort()
  const shown = names.slice(0, Math.max(1, Math.floor(mostCells / Math.max(1, values.length))))
  const rows = shown.map((name) => ({ name, cells: values.map((one) => cellOf(one.get(name))) }))
  const more = names.length - shown.length
  return {
    rows,
    more: more === 0 ? '' : `The first ${shown.length} of ${names.length}; ${releaseFiles.record} has all.`,
  }
}

/** By name; of several with the same name, the first one. */
function byName<Item>(items: readonly Item[], nameOf: (item: Item) => string): ReadonlyMap<string, Item> {
  const named = new Map<string, Item>()
  for (const item of items) if (!named.has(nameOf(item))) named.set(nameOf(item), item)
  return named
}

function viewFiles(variants: readonly ReleaseVariant[]) {
  const values = variants.map(({ files }) => byName(files, ({ target }) => target))
  return sideBySide(values, (file) => {
    if (file === undefined) return { size: 'not released', checks: '', mood: '' }
    return {
      size: `${file.format}, ${formatBytes(file.sizeBytes)}`,
      checks: describeChecks(file),
      mood: file.verification?.status === 'passed' ? 'good' : 'bad',
    }
  })
}

function describeChecks({ verification }: ReleaseImage): string {
  if (verification === null) return 'not verified'
  const { passed, failed, waived, skipped, scenes, accelerator } = verification
  const parts = [
    `${passed} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(waived > 0 ? [`${waived} waived`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ]
  return `${join(parts)} in ${count(scenes, 'boot')} (${accelerator})`
}

function viewFile({ variant }: ReleaseVariant, image: ReleaseImage) {
  return {
    target: `${variant}, ${image.target}`,
    format: image.format,
    path: image.file,
    size: formatBytes(image.sizeBytes),
    facts: `disk of ${formatBytes(image.virtualSizeBytes)}; from layer ${image.madeFrom.slice(0, 12)}`,
    checksums: viewChecksums(image),
  }
}

function viewStages(variants: readonly ReleaseVariant[]) {
  const values = variants.map(({ stages }) => byName(stages, ({ name }) => name))
  return sideBySide(values, (stage) =>
    stage === undefined ? '' : `${formatSeconds(stage.build_time)}, ${formatBytes(stage.layerBytes)}`,
  )
}

function comparePackages(variants: readonly ReleaseVariant[]) {
  const values = variants.map(({ packages }) => new Map(Object.entries(packages)))
  const found = new Map<string, { variants: number; readonly versions: Set<string> }>()
  for (const [name, version] of values.flatMap((one) => [...one])) {
    const known = found.get(name) ?? { variants: 0, versions: new Set() }
    found.set(name, known)
    known.variants += 1
    known.versions.add(version)
  }
  const differing = new Set(
    [...found].flatMap(([name, one]) =>
      one.versions.size > 1 || one.variants < variants.length ? [name] : [],
    ),
  )
  const { rows, more } = sideBySide(values, (version = '') => version, true)
  return {
    rows: rows.map((row) => ({ ...row, tags: differing.has(row.name) ? 'differs' : '' })),
    more,
    differing: differing.size,
  }
}

function viewUpdates({ variant, freshness }: ReleaseVariant) {
  const { updates = [], waived = [] } = freshness ?? {}
  if (updates.length + waived.length === 0) return []
  return [
    {
      variant,
      rows: updates,
      waived: waived.map(({ accepts, reason, until }) => `${accepts}, until ${until}: ${reason}`),
    },
  ]
}

function viewChanges({ variant, isNew, packages, sizes, stages }: VariantChanges) {
  const seconds = (value: number | undefined) => (value === undefined ? 'none' : formatSeconds(value))
  return {
    variant,
    isNew,
    sizes: sizes.map(
      ({ target, before, after }) => `${target}: ${formatBytes(after)}${describeDelta(before, after)}`,
    ),
    packages: packages.map(({ name, before, after }) => ({
      name,
      before: before ?? 'not there',
      now: after ?? 'removed',
      delta: '',
    })),
    stages: stages
      .filter(({ before, after }) => before !== after)
      .map(({ name, before, after }) => ({ name, before: seconds(before), now: seconds(after), delta: '' })),
  }
}

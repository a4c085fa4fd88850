/** `report.html` of a release: all variants side by side, as one page for people. */

import { viewChecksums } from '../pages/files.ts'
import { renderPage } from '../pages/render.ts'
import { count, formatInstant, join, presentable } from '../pages/texts.ts'
import { formatBytes, formatSeconds } from '../report/format.ts'
import { describeDelta } from '../report/markdown.ts'
import { compareReleases, type VariantChanges } from './changes.ts'
import type { ReleaseImage, ReleaseRecord, ReleaseVariant } from './record.ts'

/** @param before the release to list changes since; without it, none are listed */
export function renderReleasePage(record: ReleaseRecord, before: ReleaseRecord | undefined): string {
  const shown = presentable(record)
  const { variants } = shown
  const packages = comparePackages(variants)
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
    files: viewFiles(variants),
    images: variants.flatMap((variant) => variant.files.map((file) => viewFile(variant, file))),
    stages: viewStages(variants),
    packages,
    differing: packages.filter(({ tags }) => tags !== '').length,
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
  if (scan === null) return 'not looked for: no scanner was there'
  const accepted = scan.accepted.length === 0 ? '' : `, ${scan.accepted.length} accepted`
  return `${scan.vulnerabilities}, ${scan.fixable} with a fix${accepted}, by ${scan.scanner}`
}

function describePins({ snapshot, lock }: ReleaseVariant): string {
  const by = [...(snapshot === null ? [] : [`snapshot ${snapshot}`]), ...(lock === null ? [] : ['a lock'])]
  return by.length === 0 ? 'nothing' : join(by)
}

function viewFiles(variants: readonly ReleaseVariant[]) {
  const targets = [...new Set(variants.flatMap(({ files }) => files.map(({ target }) => target)))]
  return targets.map((target) => ({
    name: target,
    cells: variants.map(({ files }) => {
      const file = files.find((one) => one.target === target)
      if (file === undefined) return { size: 'not released', checks: '', mood: '' }
      return {
        size: `${file.format}, ${formatBytes(file.sizeBytes)}`,
        checks: describeChecks(file),
        mood: file.verification?.status === 'passed' ? 'good' : 'bad',
      }
    }),
  }))
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

function viewStages(variants: readonly ReleaseVariant[]): readonly Row[] {
  const names = [...new Set(variants.flatMap(({ stages }) => stages.map(({ name }) => name)))]
  return names.map((name) => ({
    name,
    cells: variants.map(({ stages }) => {
      const stage = stages.find((one) => one.name === name)
      return stage === undefined ? '' : `${formatSeconds(stage.build_time)}, ${formatBytes(stage.layerBytes)}`
    }),
  }))
}

interface PackageRow extends Row {
  readonly tags: string
}

function comparePackages(variants: readonly ReleaseVariant[]): readonly PackageRow[] {
  const names = [...new Set(variants.flatMap(({ packages }) => Object.keys(packages)))].sort()
  return names.map((name) => {
    const cells = variants.map(({ packages }) =>
      Object.hasOwn(packages, name) ? (packages[name] ?? '') : '',
    )
    return { name, cells, tags: new Set(cells).size > 1 ? 'differs' : '' }
  })
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

/** `RELEASE_NOTES.md`: what is in a release, what changed, and how to check it. */

import { formatBytes, formatSeconds } from '../report/format.ts'
import { listOf } from '../report/freshness.ts'
import { code, describeDelta, plain, table } from '../report/markdown.ts'
import { compareReleases, type VariantChanges } from './changes.ts'
import { type ReleaseImage, type ReleaseRecord, type ReleaseVariant, releaseFiles } from './record.ts'

/** @param before the release since which changes are listed; without it, none are listed */
export function renderNotes(record: ReleaseRecord, before: ReleaseRecord | undefined): string {
  const changes = before === undefined ? [] : compareReleases(before, record)
  const sections = [
    `# ${plain(`${record.name} ${record.release}`)}`,
    ...exceptionsIn(record),
    ...sourceOf(record),
    ...record.variants.flatMap(describeVariant),
    ...(before === undefined
      ? []
      : [`## Since ${plain(before.release)}`, ...changes.flatMap(describeChanges)]),
    '## How to check it',
    `\`systemvm-image release verify FOLDER\` compares every file here with \`${releaseFiles.statement}\` and with the checksums, and the bills of materials with the images; it needs no network. \`sha512sum --check ${releaseFiles.checksums.sha512}\` compares the checksums alone.`,
  ]
  return `${sections.join('\n\n')}\n`
}

// --- internal ---

function exceptionsIn({ exceptions }: ReleaseRecord): readonly string[] {
  if (exceptions.length === 0) return []
  const lines = exceptions.map(({ kind, text }) => `> - ${kind}: ${plain(text)}`)
  return [['> **This release was made despite the following.**', '>', ...lines].join('\n')]
}

function sourceOf({ source, tag }: ReleaseRecord): readonly string[] {
  if (source === null) return []
  const where = source.repository === undefined ? '' : ` of ${plain(source.repository)}`
  return [`Built from commit ${code(source.commit)}${where}${tag === null ? '' : `, tag ${code(tag)}`}.`]
}

function describeUpdates({ freshness }: ReleaseVariant): readonly string[] {
  if (freshness === undefined || freshness === null) return []
  const { archives, updates, waived } = freshness
  const newest = archives.map(({ date }) => date.slice(0, 10)).sort()
  const security = updates.filter((one) => one.security)
  const count =
    security.length === 0 ? 'no security update is missing' : `missing security updates: ${listOf(security)}`
  return [
    `${count}, compared with the archives of ${newest.at(-1)}`,
    ...waived.map(({ accepts, reason, until }) => `accepted until ${until}: ${accepts}, because ${reason}`),
  ]
}

function describeScan({ scan }: ReleaseVariant): readonly string[] {
  if (scan === undefined) return []
  if (scan === null)
    return ['no scanner was installed: only missing updates were looked for, not known vulnerabilities']
  const { scanner, version, database, vulnerabilities, fixable, report, accepted } = scan
  const by = [scanner, version, database && `with its list of ${database}`].filter(Boolean).join(' ')
  return [
    `${vulnerabilities} known vulnerabilities, ${fixable} of them fixed in newer packages, by ${by}: ${report}`,
    ...accepted.map((one) => `accepted until ${one.until}: ${one.vulnerability}, because ${one.reason}`),
  ]
}

function describeVariant(variant: ReleaseVariant): readonly string[] {
  const { snapshot, lock, packages, kernel, run, sbom, spdx } = variant
  const pins = [
    snapshot === null ? undefined : `the snapshot ${plain(snapshot)}`,
    lock === null ? undefined : 'a lock',
  ].filter((pin) => pin !== undefined)
  const facts = [
    `${Object.keys(packages).length} packages, listed in ${[sbom, ...(spdx === undefined ? [] : [spdx])].map(code).join(' and ')}`,
    `kernel: ${plain(kernel.join(', ')) || 'none'}`,
    pins.length === 0 ? 'not pinned: packages as the mirror served them' : `pinned by ${pins.join(' and ')}`,
    ...describeUpdates(variant).map(plain),
    ...describeScan(variant).map(plain),
    `run ${plain(run.id)}, ${formatSeconds(run.durationSeconds)}${run.accelerator === null ? '' : `, ${plain(run.accelerator)}`}`,
  ]
  return [
    `## ${plain(variant.variant)}`,
    table(
      ['for', 'file', 'size', 'checks', 'sha256'],
      variant.files.map((file) => [
        plain(file.target),
        code(file.file),
        formatBytes(file.sizeBytes),
        describeChecks(file),
        code(file.sha256),
      ]),
    ),
    facts.map((fact) => `- ${fact}`).join('\n'),
  ]
}

function describeChecks({ verification }: ReleaseImage): string {
  if (verification === null) return '**not verified**'
  const { passed, failed, waived, skipped, scenes, accelerator } = verification
  const parts = [
    `${passed} passed`,
    failed > 0 ? `**${failed} failed**` : '',
    waived > 0 ? `${waived} waived` : '',
    skipped > 0 ? `${skipped} skipped` : '',
    `${scenes} boots (${plain(accelerator)})`,
  ]
  return parts.filter(Boolean).join(', ')
}

function describeChanges({
  variant,
  isNew,
  packages,
  kernel,
  sizes,
  stages,
}: VariantChanges): readonly string[] {
  if (isNew) return [`### ${plain(variant)}`, 'Was not in that release.']
  const lines = [
    kernel.before.join() === kernel.after.join()
      ? `- kernel: the same, ${plain(kernel.after.join(', ')) || 'none'}`
      : `- kernel: ${plain(kernel.before.join(', ')) || 'none'} → ${plain(kernel.after.join(', ')) || 'none'}`,
    ...sizes.map(
      ({ target, before, after }) =>
        `- ${plain(target)}: ${formatBytes(after)}${describeDelta(before, after)}`,
    ),
  ]
  const moved = stages.filter(({ before, after }) => before !== after)
  return [
    `### ${plain(variant)}`,
    lines.join('\n'),
    packages.length === 0 ? 'No package has changed.' : `${packages.length} packages have changed:`,
    ...(packages.length === 0
      ? []
      : [
          table(
            ['package', 'before', 'now'],
            packages.map(({ name, before, after }) => [name, before ?? '', after ?? 'removed'].map(plain)),
          ),
        ]),
    ...(moved.length === 0
      ? []
      : [
          table(
            ['stage', 'before', 'now'],
            moved.map(({ name, before, after }) => [plain(name), secondsOr(before), secondsOr(after)]),
          ),
        ]),
  ]
}

function secondsOr(seconds: number | undefined): string {
  return seconds === undefined ? 'none' : formatSeconds(seconds)
}

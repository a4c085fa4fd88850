/** A difference for people: the important parts first, the rest as counts. */

import { type ChangedFile, type DiskDifference, isEqual } from '../../diff/compare.ts'
import type { DiffReport } from '../../diff/report.ts'
import type { Growth } from '../../diff/sizes.ts'
import { sha256 } from '../../digest.ts'
import type { DiskFile } from '../../disk/disk-files.ts'
import { showName } from '../../disk/names.ts'
import { formatBytes, formatTable } from '../../report/format.ts'
import { isShownLink, renderContents } from './diff-contents.ts'
import { renderPartitions, renderUnread } from './diff-partitions.ts'
import { cut, limits, type RenderOptions, type Section, tally } from './diff-section.ts'

/** The whole report in sections. If nothing differs, one line and a list of what was not compared. */
export function renderDiff({ difference, contents, sizes }: DiffReport, options: RenderOptions): string {
  const sections = [
    isEqual(difference) ? { title: 'no difference', lines: [] } : undefined,
    renderPartitions(difference.partitions),
    renderPackages(difference, options),
    renderContents(difference, contents, options),
    renderAspects(difference.changed, options),
    renderOthers(difference, contents, options),
    renderSizes(sizes, options),
    renderUnread(difference),
  ]
  return sections
    .filter((section) => section !== undefined)
    .map(
      ({ title, lines }) => `${options.colors.bold(title)}\n${lines.map((line) => `  ${line}\n`).join('')}`,
    )
    .join('\n')
}

// --- internal ---

function renderPackages({ packages }: DiskDifference, options: RenderOptions): Section | undefined {
  const { added, removed, upgraded } = packages
  const numbers = tally({ added: added.length, removed: removed.length, upgraded: upgraded.length })
  if (numbers === '') return undefined
  const { green, red } = options.colors
  const lists = [
    added.map(({ name, version }) => green(showName(`+ ${name} ${version}`))),
    removed.map(({ name, version }) => red(showName(`- ${name} ${version}`))),
    upgraded.map(({ name, from, to }) => showName(`~ ${name} ${from} → ${to}`)),
  ]
  return { title: `Packages: ${numbers}`, lines: lists.flatMap((list) => cut(list, limits.rows, options)) }
}

/** Every difference other than content, by path, anywhere on the disk. */
function renderAspects(changed: readonly ChangedFile[], options: RenderOptions): Section | undefined {
  const rows = changed.flatMap((file) => {
    const words = describeAspects(file)
    return words.length === 0 ? [] : [[showName(file.path), words.join('; ')]]
  })
  if (rows.length === 0) return undefined
  const lines = formatTable(rows).split('\n')
  return {
    title: `Types, modes, owners, attributes, links: ${rows.length} changed`,
    lines: cut(lines, limits.rows, options),
  }
}

const octal = (mode: number) => mode.toString(8).padStart(4, '0')

function describeAspects({ before, after, aspects }: ChangedFile): readonly string[] {
  return aspects.flatMap((aspect) => {
    if (aspect === 'type') return `${describeType(before)} → ${describeType(after)}`
    if (aspect === 'mode') return `mode ${octal(before.mode)} → ${octal(after.mode)}`
    if (aspect === 'owner') return `owner ${before.uid}:${before.gid} → ${after.uid}:${after.gid}`
    if (aspect === 'target') return `to ${showName(before.target ?? '')} → ${showName(after.target ?? '')}`
    if (aspect === 'device') return `device ${before.device ?? 'none'} → ${after.device ?? 'none'}`
    if (aspect === 'attributes') return describeAttributes(before, after)
    return []
  })
}

function describeType({ type, target }: DiskFile): string {
  return target === undefined ? type : `${type} to ${showName(target)}`
}

function describeAttributes(before: DiskFile, after: DiskFile): readonly string[] {
  const names = [...new Set([...before.attributes.keys(), ...after.attributes.keys()])]
  const value = (file: DiskFile, name: string) => describeValue(file.attributes.get(name))
  return names
    .filter((name) => value(before, name) !== value(after, name))
    .map((name) => `${showName(name)} ${value(before, name)} → ${value(after, name)}`)
}

/** A value in hex, or its digest if it is long. A capability has 20 or 24 bytes. */
function describeValue(value: Buffer | undefined): string {
  if (value === undefined) return 'none'
  return value.length <= 24
    ? value.toString('hex')
    : `${value.length} bytes, sha256 ${sha256(value).slice(0, 12)}`
}

/** Files whose content is not shown: names if there are few, otherwise counts by folder. */
function renderOthers(
  { added, removed, changed }: DiskDifference,
  contents: DiffReport['contents'],
  options: RenderOptions,
): Section | undefined {
  const isOther = (file: DiskFile) => !contents.has(file.path) && !isShownLink(file)
  const inContent = changed.filter(({ aspects }) => aspects.includes('content')).map(({ after }) => after)
  const lists = {
    added: withoutParents(added).filter(isOther),
    removed: withoutParents(removed).filter(isOther),
    changed: inContent.filter(isOther),
  }
  const numbers = tally({
    added: lists.added.length,
    removed: lists.removed.length,
    changed: lists.changed.length,
  })
  if (numbers === '') return undefined
  const total = lists.added.length + lists.removed.length + lists.changed.length
  const isShort = options.isFull || total <= limits.rows
  return {
    title: `Other files: ${numbers}`,
    lines: isShort ? listNames(lists, options) : cut(countByFolder(lists), limits.rows, options),
  }
}

/** Leaves out folders whose contents are listed. */
function withoutParents(files: readonly DiskFile[]): readonly DiskFile[] {
  const parents = new Set(files.map(({ path }) => path.slice(0, path.lastIndexOf('/'))))
  return files.filter(({ path }) => !parents.has(path))
}

type Lists = Readonly<Record<'added' | 'removed' | 'changed', readonly DiskFile[]>>

function listNames({ added, removed, changed }: Lists, { colors }: RenderOptions): readonly string[] {
  return [
    ...added.map((file) => colors.green(`+ ${nameOf(file)}`)),
    ...removed.map((file) => colors.red(`- ${nameOf(file)}`)),
    ...changed.map((file) => `~ ${nameOf(file)}`),
  ]
}

function nameOf({ path, type }: DiskFile): string {
  return type === 'folder' ? `${showName(path)}/` : showName(path)
}

/** Groups by the first two folders of each path. */
function countByFolder(lists: Lists): readonly string[] {
  const kinds = ['added', 'removed', 'changed'] as const
  const counts = new Map<string, Record<(typeof kinds)[number], number>>()
  for (const kind of kinds) {
    for (const { path } of lists[kind]) {
      const folder = path.split('/').slice(0, -1).slice(0, 3).join('/') || '/'
      const found = counts.get(folder) ?? { added: 0, removed: 0, changed: 0 }
      found[kind] += 1
      counts.set(folder, found)
    }
  }
  const rows = [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([folder, found]) => [showName(folder), ...kinds.map((kind) => String(found[kind] || ''))])
  return formatTable([['folder', ...kinds], ...rows], [false, true, true, true]).split('\n')
}

/** Folders that changed by less than this share of the largest change are left out. */
const notableShare = 0.02

function renderSizes(sizes: DiffReport['sizes'], options: RenderOptions): Section | undefined {
  const { beforeBytes, afterBytes, folders } = sizes
  if (beforeBytes === afterBytes && folders.length === 0) return undefined
  const row = (name: string, before: number, after: number) => [
    showName(name),
    formatBytes(before),
    '→',
    formatBytes(after),
    `${after < before ? '-' : '+'}${formatBytes(Math.abs(after - before))}`,
  ]
  const growthOf = (folder: Growth) => Math.abs(folder.afterBytes - folder.beforeBytes)
  const largest = Math.max(0, ...folders.map(growthOf))
  const notable = folders.filter((folder) => options.isFull || growthOf(folder) >= notableShare * largest)
  const rows = [
    row('total', beforeBytes, afterBytes),
    ...notable.map((folder) => row(folder.path, folder.beforeBytes, folder.afterBytes)),
  ]
  const lines = formatTable(rows, [false, true, false, true, true]).split('\n')
  return { title: 'Sizes', lines: cut(lines, limits.folders + 1, options) }
}

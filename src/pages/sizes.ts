/** What takes up space in an image: by folder, by package, and by the stage that wrote it. */

import { parentOf } from '../disk/folder-sizes.ts'
import { formatBytes } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import type { DiskUsage } from '../report/verification.ts'
import { count, percent } from './texts.ts'
import { layOut, type Sized, type TreeMap } from './tree-map.ts'

export interface SizesView {
  readonly folders:
    | { readonly map: TreeMap; readonly rows: readonly SizeRow[]; readonly total: string }
    | undefined
  readonly packages: { readonly map: TreeMap; readonly summary: string } | undefined
  readonly layers: readonly LayerRow[]
  /** Whether any stage changed packages. */
  readonly hasPackages: boolean
}

interface SizeRow {
  readonly name: string
  readonly size: string
  readonly share: string
}

interface LayerRow {
  readonly name: string
  readonly size: string
  readonly width: string
  readonly written: string
  readonly packages: string
  readonly files: string
}

export function viewSizes(report: Report): SizesView {
  const usage = usageOf(report)
  return {
    folders: usage && {
      map: layOut(treeOfFolders(usage), 400),
      rows: usage.folders.map(({ path, sizeBytes }) => ({
        name: path,
        size: formatBytes(sizeBytes),
        share: percentOf(sizeBytes, usage.filesBytes),
      })),
      total: formatBytes(usage.filesBytes),
    },
    packages: usage && viewPackages(usage),
    layers: viewLayers(report),
    hasPackages: report.stages.some(({ packages }) => describeChange(packages) !== ''),
  }
}

/** Usage of the image whose content was read; all targets have the same. */
export function usageOf({ verifications = [] }: Report): DiskUsage | undefined {
  return verifications.find(({ usage }) => usage !== undefined)?.usage
}

// --- internal ---

/** Deeper folders are too small to distinguish. */
const deepest = 5

/** Packages that get their own rectangle. */
const namedPackages = 60

function treeOfFolders({ folders: listed, filesBytes }: DiskUsage): Sized {
  // The root contains itself, which would recurse forever.
  const folders = listed.filter(({ path }) => path !== '/')
  const sizes = new Map(folders.map(({ path, sizeBytes }) => [path, sizeBytes]))
  const below = new Map<string, DiskUsage['folders']>()
  for (const one of folders) below.set(parentOf(one.path), [...(below.get(parentOf(one.path)) ?? []), one])
  const tints = tintsOf(folders.filter(({ path }) => path.split('/').length === 3))
  const build = (path: string, bytes: number, above: string): Sized => {
    const inner = below.get(path) ?? []
    const tint = tints.get(path.split('/').slice(0, 3).join('/')) ?? 0
    const label = path.slice(above === '/' ? 1 : above.length + 1)
    // A folder that contains only another folder is shown together with it.
    const [only] = inner
    if (only !== undefined && inner.length === 1 && only.sizeBytes > bytes * 0.97)
      return build(only.path, bytes, above)
    if (inner.length === 0 || path.split('/').length > deepest)
      return { label, name: path, bytes, children: [], tint }
    const children = inner.map((one) => build(one.path, one.sizeBytes, path))
    const rest = bytes - inner.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const other: Sized = { label: 'other', name: `${path}, other files`, bytes: rest, children: [], tint }
    return { label, name: path, bytes, children: rest > 0 ? [...children, other] : children, tint }
  }
  const top = folders.filter(({ path }) => !sizes.has(parentOf(path)))
  const children = top.map(({ path, sizeBytes }) => build(path, sizeBytes, '/'))
  const rest = filesBytes - top.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const other: Sized = {
    label: 'other',
    name: '/, other files',
    bytes: Math.max(0, rest),
    children: [],
    tint: 0,
  }
  return { label: '/', name: '/', bytes: filesBytes, children: [...children, other], tint: 0 }
}

/** The largest folders get their own colors; 0 is the color of all others. */
function tintsOf(folders: DiskUsage['folders']): ReadonlyMap<string, number> {
  const largest = [...folders].sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, 5)
  return new Map(largest.map(({ path }, index) => [path, index + 1]))
}

function viewPackages({ packages, filesBytes }: DiskUsage): NonNullable<SizesView['packages']> {
  const leaf = (label: string, name: string, bytes: number, tint: number): Sized => ({
    label,
    name,
    bytes,
    children: [],
    tint,
  })
  const sum = (list: DiskUsage['packages']) => list.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
  const named = packages.slice(0, namedPackages).map(({ name, sizeBytes }) => leaf(name, name, sizeBytes, 1))
  const others = packages.slice(namedPackages)
  const unowned = Math.max(0, filesBytes - sum(packages))
  const rest = [
    ...(others.length === 0
      ? []
      : [leaf(count(others.length, 'other'), count(others.length, 'other package'), sum(others), 2)]),
    ...(unowned === 0 ? [] : [leaf('in no package', 'files in no package', unowned, 3)]),
  ]
  return {
    map: layOut({ label: '', name: '', bytes: filesBytes, children: [...named, ...rest], tint: 0 }, 260),
    summary: `${count(packages.length, 'package')} with ${formatBytes(sum(packages))}; ${formatBytes(unowned)} in no package’s list of files.`,
  }
}

function viewLayers({ base, stages }: Report): readonly LayerRow[] {
  const bytesOf = (stage: Report['stages'][number]) => stage.layer?.sizeBytes ?? 0
  // Layer 0 is by far the largest: its bar would make all others invisible.
  const largest = Math.max(1, ...stages.map(bytesOf))
  const bottom =
    base?.sizeBytes === undefined
      ? []
      : [
          {
            name: 'layer 0',
            size: formatBytes(base.sizeBytes),
            width: '',
            written: '',
            packages: '',
            files: '',
          },
        ]
  const rows = stages.map((stage) => ({
    name: stage.name,
    size: stage.layer === null ? '' : formatBytes(bytesOf(stage)),
    width: percent(bytesOf(stage) / largest),
    written: stage.status === 'skipped' ? '' : formatBytes(stage.bytesWritten),
    packages: describeChange(stage.packages),
    files: stage.artifacts.length === 0 ? '' : String(stage.artifacts.length),
  }))
  return [...bottom, ...rows]
}

function describeChange({ added, removed, upgraded }: Report['stages'][number]['packages']): string {
  return [
    [added.length, '+'],
    [removed.length, '−'],
    [upgraded.length, '↑'],
  ]
    .flatMap(([number, sign]) => (number === 0 ? [] : [`${sign}${number}`]))
    .join(' ')
}

function percentOf(bytes: number, total: number): string {
  return `${((100 * bytes) / Math.max(total, 1)).toFixed(1)} %`
}

/**
 * The content of an image's package set: everything that its layers ever had installed, as one state of the archives lists
 * it.
 */

import type { ResolvedImage } from '../config/resolved.ts'
import { archivesOf } from '../debian/archives.ts'
import { type Package, readPackages, withoutArchitecture } from '../debian/dpkg-status.ts'
import type { SetPackage } from '../debian/package-set.ts'
import { openDisk } from '../disk/disk-files.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { type AptList, entryKey, type IndexEntry, parseIndex, readAptLists } from '../provenance/apt-lists.ts'
import type { Layer } from '../store/layer-record.ts'
import { bringsPackages } from '../store/packages.ts'
import type { Store } from '../store/store.ts'

export interface SetLists {
  /** The newest lists that a layer has, each signed file before its indexes. */
  readonly lists: readonly AptList[]
  readonly packages: readonly SetPackage[]
}

/**
 * Reads the lists of an image, and finds everything in them that any of its layers installed. Packages that no list names
 * come from the files of a stage.
 * @param layers lowest first
 * @throws PipelineError `packages-missing`
 */
export async function readSetLists(
  image: ResolvedImage,
  layers: readonly Layer[],
  store: Store,
  signal: AbortSignal,
): Promise<SetLists> {
  const seen: SeenLayer[] = []
  for (const layer of layers.filter(bringsPackages)) seen.push(await readLayer(image, layer, store, signal))
  const newest = seen.findLast(({ lists }) => lists.length > 0)
  const names = new Set(seen.flatMap(({ installed }) => installed.map(nameOf)))
  const listed = new Map(
    (newest?.lists ?? []).flatMap((list) =>
      entriesOf(list, names).map((entry) => [entryKey(entry), setPackage(entry, list)] as const),
    ),
  )
  const packages = new Map<string, SetPackage>()
  for (const { layer, installed, lists } of seen) {
    const before = new Set(lists.flatMap(({ entries = [] }) => entries.map(entryKey)))
    for (const one of installed) {
      const key = entryKey({ ...one, name: nameOf(one) })
      const found = listed.get(key)
      if (found !== undefined) packages.set(key, found)
      else if (before.has(key)) throw moved(image, one, layer, newest?.layer ?? layer)
      else if (layer.parent === null) throw unlisted(image, one)
    }
  }
  return { lists: newest?.lists ?? [], packages: [...packages.values()] }
}

/** A package set that cannot be made. */
export function unavailable(message: string, hint: string): PipelineError {
  return new PipelineError({ code: 'packages-missing', message, hint, exitCode: exitCodes.badInput })
}

// --- internal ---

/** A layer as its dpkg and apt describe it. */
interface SeenLayer {
  readonly layer: Layer
  readonly installed: readonly Package[]
  readonly lists: readonly AptList[]
}

async function readLayer(
  image: ResolvedImage,
  layer: Layer,
  store: Store,
  signal: AbortSignal,
): Promise<SeenLayer> {
  return inWorkFolder(async (workFolder) => {
    const options = { format: 'qcow2', backing: 'same folder', workFolder, signal } as const
    const disk = await openDisk(store.disk(layer.key), options)
    try {
      const installed = [...(await readPackages(disk)).values()]
      const lists: AptList[] = []
      const names = new Set(installed.map(nameOf))
      await readAptLists(disk, archivesOf(image), names, signal, (list) => lists.push(list))
      return { layer, installed, lists }
    } finally {
      await disk.close()
    }
  })
}

const nameOf = ({ name }: Package) => withoutArchitecture(name)

/** Includes packages that the layer itself no longer has. */
function entriesOf({ bytes, entries }: AptList, names: ReadonlySet<string>): readonly IndexEntry[] {
  return entries === undefined ? [] : [...parseIndex(bytes, names)]
}

function setPackage({ file, ...entry }: IndexEntry, { request: { url } }: AptList): SetPackage {
  return { ...entry, url: `${url}/${file}` }
}

function moved(
  { variant }: ResolvedImage,
  { name, version }: Package,
  layer: Layer,
  newest: Layer,
): PipelineError {
  return unavailable(
    `the layers of ${variant} are made from two states of the archives: ${layer.name} has ${name} ${version}, which is in no list of ${newest.name}`,
    'rebuild it from scratch with build --no-cache, so that all layers have the same lists.',
  )
}

function unlisted({ variant }: ResolvedImage, { name, version }: Package): PipelineError {
  return unavailable(
    `no signed list of ${variant} has ${name} ${version}, which is in its layer 0`,
    'a package set is possible for layers made by the installer bootstrap only.',
  )
}

/** Finds out what an image was made from, using the layers in its store, without a network. */

import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ResolvedImage } from '../config/resolved.ts'
import { archivesOf } from '../debian/archives.ts'
import { type Package, readPackages, withoutArchitecture } from '../debian/dpkg-status.ts'
import { mostCopyrightBytes, parseLicenses } from '../debian/licenses.ts'
import { canonicalJson, sha256 } from '../digest.ts'
import { type DiskFiles, openDisk } from '../disk/disk-files.ts'
import { followPath } from '../disk/paths.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { listTree } from '../host/hash-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { findWorkFolder } from '../host/work-folder.ts'
import { isBase, isStage } from '../store/layer-key.ts'
import type { Layer } from '../store/layer-record.ts'
import { bringsPackages, packagesOf } from '../store/packages.ts'
import type { Store } from '../store/store.ts'
import { type AptLists, entryKey, readAptLists } from './apt-lists.ts'
import { type InputLayer, type InputPackage, type Inputs, inputsPath, readInputs } from './inputs.ts'

export interface GatherRequest {
  readonly image: ResolvedImage
  /** The layers of the image, lowest first. */
  readonly layers: readonly Layer[]
  readonly store: Store
  readonly outFolder: string
  readonly signal: AbortSignal
}

/** The inputs of an image: from an earlier run's record, or from its layers, and then recorded. */
export async function gatherInputs(request: GatherRequest): Promise<Inputs> {
  const { outFolder, layers } = request
  const { key } = layers.at(-1) as Layer
  const known = await readInputs(outFolder, key)
  // A rebuilt layer has the same key, but perhaps other packages.
  if (known !== undefined && isOfLayers(known, layers)) return known
  const found = (await recallFound(request)) ?? (await readFromLayers(request))
  const inputs = await describeInputs(request, found)
  const path = inputsPath(outFolder, key)
  await makeFolder(dirname(path))
  await writeDurably(path, `${JSON.stringify(inputs, null, 1)}\n`)
  return inputs
}

/** Whether inputs belong to exactly these layers, lowest first. */
export function isOfLayers(
  inputs: Inputs,
  layers: readonly Pick<Layer, 'key' | 'sha256' | 'origin'>[],
): boolean {
  const ids = (list: readonly Pick<InputLayer, 'key' | 'sha256' | 'origin'>[]) =>
    list.map(({ key, sha256, origin }) => `${key} ${sha256} ${JSON.stringify(origin)}`).join()
  return ids(inputs.layers) === ids(layers)
}

// --- internal ---

/**
 * Reuses what was found for another image with the same packages: reading it from a disk takes ten seconds, which changing a
 * late stage should not cost.
 */
async function recallFound({ layers, outFolder }: GatherRequest): Promise<Found | undefined> {
  const installed = packagesAfter(layers)
  const names = await readdir(outFolderAt(outFolder).inputs).catch(() => [])
  for (const name of names) {
    const known = await readInputs(outFolder, name.replace(/\.json$/, ''))
    const isSame = layers
      .filter(bringsPackages)
      .every(({ key, sha256 }) => known?.layers.some((one) => one.key === key && one.sha256 === sha256))
    if (known === undefined || !isSame) continue
    const packages = new Map(known.packages.map((one) => [`${one.name} ${one.version}`, one]))
    const isWhole = [...installed].every(([name, version]) => packages.has(`${name} ${version}`))
    if (isWhole) return { packages, archives: known.archives }
  }
  return undefined
}

async function readFromLayers({ image, layers, store, signal }: GatherRequest): Promise<Found> {
  const found: Found = { packages: new Map(), archives: [] }
  for (const layer of layers.filter(bringsPackages)) await readLayer(layer, found, image, store, signal)
  return found
}

async function describeInputs({ image, layers }: GatherRequest, found: Found): Promise<Inputs> {
  return {
    version: 1,
    variant: image.variant,
    installer: image.installer,
    snapshot: image.mirror.snapshot ?? null,
    archives: found.archives,
    packages: [...packagesAfter(layers)].map(
      ([name, version]) =>
        found.packages.get(`${name} ${version}`) ?? {
          name,
          version,
          architecture: '',
          sha256: null,
          file: null,
          licenses: [],
        },
    ),
    layers: layers.map(describeLayer),
    templates: await listTree(fileURLToPath(new URL('../../templates', import.meta.url))),
  }
}

function idOf({ name, version }: Pick<Package, 'name' | 'version'>): string {
  return `${name} ${version}`
}

interface Found {
  /** By name and version. */
  readonly packages: Map<string, InputPackage>
  archives: Inputs['archives']
}

async function readLayer(
  { key }: Layer,
  found: Found,
  image: ResolvedImage,
  store: Store,
  signal: AbortSignal,
): Promise<void> {
  const workFolder = await findWorkFolder()
  const disk = await openDisk(store.disk(key), {
    format: 'qcow2',
    backing: 'same folder',
    workFolder,
    signal,
  })
  try {
    const packages = await readPackages(disk)
    const names = new Set([...packages.values()].map(({ name }) => withoutArchitecture(name)))
    const lists = await readAptLists(disk, archivesOf(image), names, signal)
    for (const archive of lists.archives) {
      if (!found.archives.some(({ sha256 }) => sha256 === archive.sha256)) found.archives.push(archive)
    }
    const unknown = [...packages.values()].filter((one) => !found.packages.has(idOf(one)))
    const licenses = await readLicenses(
      disk,
      unknown.map(({ name }) => withoutArchitecture(name)),
    )
    for (const one of unknown) {
      const declared = licenses.get(withoutArchitecture(one.name)) ?? []
      found.packages.set(idOf(one), describePackage(one, lists, declared))
    }
  } finally {
    await disk.close()
  }
}

function describePackage(one: Package, { entries }: AptLists, licenses: readonly string[]): InputPackage {
  const { version, architecture } = one
  const entry = entries.get(entryKey({ name: withoutArchitecture(one.name), version, architecture }))
  return {
    name: one.name,
    version,
    architecture,
    sha256: entry?.sha256 ?? null,
    file: entry?.file ?? null,
    licenses: [...licenses],
  }
}

/**
 * The licenses of packages by name, from the copyright files that dpkg keeps until a stage removes them. The folder of a
 * package may be a link to that of another package from the same source.
 */
async function readLicenses(
  disk: DiskFiles,
  names: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const files = await disk.list()
  const paths = new Map(names.map((name) => [name, followPath(files, `/usr/share/doc/${name}/copyright`)]))
  const isSmall = (path: string | undefined) =>
    path !== undefined && (files.get(path)?.sizeBytes ?? 0) <= mostCopyrightBytes
  const texts = await disk.readMany([...paths.values()].filter(isSmall) as string[])
  return new Map(
    [...paths].map(([name, path]) => [name, parseLicenses(texts.get(path ?? '')?.toString() ?? '')]),
  )
}

/** The packages of a stack of layers, after the changes of each layer; sorted by name. */
function packagesAfter(layers: readonly Layer[]): ReadonlyMap<string, string> {
  const packages = [...packagesOf(layers)].map(
    ([name, version]) => [withoutArchitecture(name), version] as const,
  )
  return new Map(packages.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function describeLayer(layer: Layer): InputLayer {
  const { name, key, sha256: digest, parts, installerFiles, tools, origin } = layer
  const stage = isStage(parts) ? parts : undefined
  return {
    name,
    key,
    sha256: digest,
    script: stage?.script ?? null,
    files: Object.fromEntries(
      Object.entries(stage?.files ?? {}).map(([folder, tree]) => [folder, sha256(canonicalJson(tree))]),
    ),
    scripts: isBase(parts) ? [...parts.scripts] : [],
    installerFiles: { ...installerFiles },
    tools: { ...tools },
    ...(origin === undefined ? {} : { origin }),
  }
}

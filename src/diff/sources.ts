/** Finds the two disks to compare, given as stages, layer keys, or files. */

import { stat } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { type NamedInstaller, namedInstallers } from '../config/installer.ts'
import type { Backing } from '../disk/chain.ts'
import { type DiskFormat, formatByEnding } from '../disk/disk-format.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'
import { layersOf } from '../store/chain.ts'
import type { Layer } from '../store/layer-record.ts'
import { noLayer } from '../store/no-layer.ts'
import type { Store } from '../store/store.ts'

/** A disk to compare. */
export interface ComparedDisk {
  /** For people: a stage with its layer's key, or a path. */
  readonly name: string
  readonly file: string
  /** Undefined if the file name does not say: then the content decides. */
  readonly format: DiskFormat | undefined
  /** Layers are based on each other in one folder. */
  readonly backing: Backing
}

export interface SourceLookup {
  /** Which backing files may be opened for disks that are not layers. */
  readonly backing: Backing
  /** The plan of the image whose stages are named; only called if a word may be a stage. */
  readonly plan: (installer?: NamedInstaller) => Promise<Plan>
  readonly store: Store
}

/**
 * Finds the disks that one or two words name: a single word is a layer, compared with the one below.
 * @throws PipelineError `no-layer`, `no-disk`
 */
export async function findSources(
  words: readonly string[],
  lookup: SourceLookup,
): Promise<readonly [before: ComparedDisk, after: ComparedDisk]> {
  const [first = '', second] = words
  if (second !== undefined) return [await findSource(first, lookup), await findSource(second, lookup)]
  const layer = await findLayer(first, lookup)
  if (layer === undefined) {
    await findFile(first, lookup)
    throw unknownDisk(`there is nothing to compare ${first} with`, 'give two disk images, or one stage.')
  }
  if (layer.parent === null) {
    throw unknownDisk(`${layer.name} has no layer below it`, 'also give the disk to compare it with.')
  }
  const below = await lookup.store.find(layer.parent)
  if (below === undefined)
    throw unknownDisk(`the layer below ${layer.name} is missing`, 'build the image again.')
  return [sourceOf(below, lookup.store), sourceOf(layer, lookup.store)]
}

/** The disk of a layer. */
export function sourceOf({ key, name }: Pick<Layer, 'key' | 'name'>, store: Store): ComparedDisk {
  return {
    name: `${name} ${key.slice(0, 12)}`,
    file: resolvePath(store.disk(key)),
    format: 'qcow2',
    backing: 'same folder',
  }
}

// --- internal ---

async function findSource(word: string, lookup: SourceLookup): Promise<ComparedDisk> {
  const layer = await findLayer(word, lookup)
  return layer === undefined ? findFile(word, lookup) : sourceOf(layer, lookup.store)
}

/** The layer with a stage's name or a key; undefined if the word can only be a file. */
async function findLayer(word: string, { plan, store }: SourceLookup): Promise<Layer | undefined> {
  if (/[./]/.test(word)) return undefined
  const installer = installerOf(word)
  const layers = layersOf(await plan(installer))
  const planned = layers.find(
    ({ name }) => name === (installer === undefined ? word : word.replace(afterColon, '')),
  )
  if (planned?.cached !== undefined) return planned.cached
  const stored = /^[0-9a-f]{4,64}$/.test(word) ? await store.list() : []
  const found = stored.filter(({ key }) => key.startsWith(word))
  if (found[0] !== undefined && found.length === 1) return found[0]
  if (found.length > 1) {
    throw unknownDisk(`the keys of ${found.length} layers begin with ${word}`, 'give more of the key.')
  }
  if (planned === undefined && (await isFile(word))) return undefined
  throw noLayer(word, 'stage, layer or file', layers)
}

/** The part after a colon: `base:bootstrap` is layer 0 as that installer makes it, whatever the pipeline says. */
const afterColon = /:([^:]*)$/

/** The installer named in a word; undefined for the pipeline's own. */
export function installerOf(word: string): NamedInstaller | undefined {
  const named = afterColon.exec(word)?.[1]
  return namedInstallers.find((name) => name === named)
}

async function findFile(word: string, { backing }: SourceLookup): Promise<ComparedDisk> {
  if (!(await isFile(word))) throw unknownDisk(`there is no disk image ${word}`, 'give the path of a file.')
  return { name: word, file: resolvePath(word), format: formatByEnding(word), backing }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ?? false
}

function unknownDisk(message: string, hint: string): PipelineError {
  return new PipelineError({ code: 'no-disk', message, hint, exitCode: exitCodes.badInput })
}

/** What a build would do: for each layer, whether it is in the store, and if not, why. */

import type { ResolvedImage, ResolvedStage } from '../config/resolved.ts'
import { canonicalJson, type Json, sha256 } from '../digest.ts'
import { type Layout, placePartitions } from '../disk/layout.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { listTree } from '../host/hash-file.ts'
import { readRegular } from '../host/regular-file.ts'
import { fitLayout } from '../installers/found-layout.ts'
import { installerOf } from '../installers/index.ts'
import type { KeySource } from '../installers/installer.ts'
import { isSecretVariable } from '../redact.ts'
import { basesOf } from '../store/chain.ts'
import {
  type BaseParts,
  keyOf,
  type LayerKey,
  type LayerParts,
  type RepackParts,
  repackName,
  type StageParts,
} from '../store/layer-key.ts'
import type { Layer } from '../store/layer-record.ts'
import type { Store } from '../store/store.ts'
import { unlessChanged } from './changed-meanwhile.ts'

/** Raised when a change in the engine makes earlier layers wrong. */
const layerFormat = 3

/** Raised when `src/repack/` makes different bytes from the same files. */
const repackRevision = 1

/** A layer that the image needs, whether it exists or not. */
export interface PlannedLayer<Parts extends LayerParts = LayerParts> {
  readonly name: string
  readonly key: LayerKey
  readonly parts: Parts
  readonly parent: LayerKey | null
  /** The layer from the store that will be used. */
  readonly cached: Layer | undefined
  /** Why it has to be built; absent if it is cached. */
  readonly reason: string | undefined
  /** The layer in the store that is most like it; absent if it is cached or was never built. */
  readonly closest: Layer | undefined
}

export interface PlannedBase extends PlannedLayer<BaseParts> {
  /** The texts whose digests are among the parts. */
  readonly sources: readonly KeySource[]
}

export interface PlannedStage extends PlannedLayer<StageParts> {
  readonly stage: ResolvedStage
}

export interface Plan {
  readonly image: ResolvedImage
  readonly layout: Layout
  readonly base: PlannedBase
  readonly stages: readonly PlannedStage[]
  /** The disk that images are made from; undefined if that is the last stage's, or if no images are made. */
  readonly final: PlannedLayer<RepackParts> | undefined
}

/** Which layers of the store a plan may use. */
export interface PlanOptions {
  /** Use none at all. */
  readonly ignoreStore?: boolean | undefined
  /** Rebuild this stage and all after it. */
  readonly from?: string | undefined
  /** Leave out the stages after this one. */
  readonly until?: string | undefined
  /** Stops reading the files that stages use. */
  readonly signal?: AbortSignal | undefined
}

/** Plans one image. Reads the host's scripts and the store's records, and changes nothing. */
export async function planImage(
  image: ResolvedImage,
  store: Pick<Store, 'list'>,
  options: PlanOptions = {},
): Promise<Plan> {
  const layers = await store.list()
  const { parts, sources } = await installerOf(image).keyParts(image, options.signal)
  const baseParts: BaseParts = { ...parts, format: layerFormat, installer: image.installer }
  const baseKey = keyOf(baseParts)
  // Layers of another variant do not explain why those of this one have to be built.
  const known = layersOfVariant(layers, baseParts)
  const stored = layers.find(({ key }) => key === baseKey)
  const unfit = layoutOf(image, baseKey, stored) === undefined
  const obstacle = options.ignoreStore
    ? 'requested'
    : unfit
      ? 'its partitions do not fit the disk'
      : undefined
  const base = { ...planLayer('base', baseKey, baseParts, null, known, obstacle), sources }
  const stages: PlannedStage[] = []
  let parent: PlannedLayer = base
  for (const stage of chooseStages(image, options)) {
    const parts = await partsOfStage(stage, image, parent.key, options.signal)
    // A layer is only useful on top of all layers below it.
    const below: string | undefined = parent.cached === undefined ? 'a layer below has to be made' : undefined
    const obstacle = stage.name === options.from ? 'requested' : below
    const [absent] = stage.absent ?? []
    const planned: PlannedStage = {
      ...planLayer(stage.name, keyOf(parts), parts, parent.key, known, obstacle),
      ...(absent === undefined ? {} : { reason: `${absent} is not downloaded` }),
      stage,
    }
    stages.push(planned)
    parent = planned
  }
  const layout = layoutOf(image, baseKey, base.cached)
  if (layout === undefined) throw new Error('a base that is used has a layout that fits')
  const final =
    image.reproducible && options.until === undefined ? planFinal(image, parent, known) : undefined
  return { image, layout, base, stages, final }
}

/** Where the partitions of a base layer are, or will be; undefined if its record does not fit the image's disk. */
export function layoutOf(image: ResolvedImage, key: LayerKey, base: Layer | undefined): Layout | undefined {
  if (base === undefined || !installerOf(image).placesPartitions) return placePartitions(image.disk, key)
  return base.layout && fitLayout(image.disk, base.layout)
}

function planFinal(
  { sourceDateEpoch }: ResolvedImage,
  { key: parent, cached }: PlannedLayer,
  known: readonly Layer[],
): PlannedLayer<RepackParts> {
  const parts: RepackParts = {
    format: layerFormat,
    name: repackName,
    revision: repackRevision,
    sourceDateEpoch,
    parent,
  }
  const obstacle = cached === undefined ? 'a layer below has to be made' : undefined
  return planLayer(repackName, keyOf(parts), parts, parent, known, obstacle)
}

/** The image's stages up to `until`. @throws PipelineError `unknown-stage` */
function chooseStages({ stages }: ResolvedImage, { from, until }: PlanOptions): readonly ResolvedStage[] {
  for (const name of [from, until]) {
    if (name !== undefined && !stages.some((stage) => stage.name === name)) {
      throw new PipelineError({
        code: 'unknown-stage',
        message: `there is no stage ${JSON.stringify(name)}`,
        hint: `name one of ${stages.map((stage) => stage.name).join(', ')}.`,
        exitCode: exitCodes.badInput,
      })
    }
  }
  const chosen =
    until === undefined ? stages : stages.slice(0, stages.findIndex(({ name }) => name === until) + 1)
  if (from !== undefined && !chosen.some((stage) => stage.name === from)) {
    throw new PipelineError({
      code: 'stages-empty',
      message: `stage ${from} comes after ${until}: there is nothing between them`,
      hint: 'give --until a stage that comes after the one of --from.',
      exitCode: exitCodes.badInput,
    })
  }
  return chosen
}

const notDownloaded = (name: string) => [name, { '.': 'not downloaded' }] as const

async function partsOfStage(
  stage: ResolvedStage,
  image: ResolvedImage,
  parent: LayerKey,
  signal: AbortSignal | undefined,
): Promise<StageParts> {
  const files = await Promise.all(
    Object.entries(stage.files).map(
      async ([name, folder]) =>
        [name, await listTree(folder, signal).catch(unlessChanged(stage.name, folder))] as const,
    ),
  )
  const script = await readRegular(stage.script).catch(unlessChanged(stage.name, stage.script))
  return {
    format: layerFormat,
    name: stage.name,
    script: sha256(script),
    environment: withoutSecrets(stage.environment),
    sourceDateEpoch: image.sourceDateEpoch,
    // Missing downloads have no digest: the layer has to be built in any case.
    files: { ...Object.fromEntries(files), ...Object.fromEntries((stage.absent ?? []).map(notDownloaded)) },
    leaves: stage.leaves,
    network: stage.network,
    parent,
  }
}

/**
 * Parts are stored in records, and records in registries: secrets are replaced by their digests. A single character hides
 * nothing, and is not a password.
 */
function withoutSecrets(environment: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      isSecretVariable(name, value) ? `sha256:${sha256(`${name}=${value}`)}` : value,
    ]),
  )
}

function planLayer<Parts extends LayerParts>(
  name: string,
  key: LayerKey,
  parts: Parts,
  parent: LayerKey | null,
  layers: readonly Layer[],
  obstacle: string | undefined,
): PlannedLayer<Parts> {
  const same = layers.find((layer) => layer.key === key)
  const planned = { name, key, parts, parent }
  if (same !== undefined && obstacle === undefined) {
    return { ...planned, cached: same, reason: undefined, closest: undefined }
  }
  const closest = same ?? findClosest(name, parts, layers)
  const reason = same === undefined ? explainMiss(parts, closest) : obstacle
  return { ...planned, cached: undefined, reason, closest }
}

/** The newest layer with that name that has the most parts in common. */
function findClosest(name: string, parts: LayerParts, layers: readonly Layer[]): Layer | undefined {
  const candidates = layers
    .filter((layer) => layer.name === name)
    .map((layer) => ({ layer, count: changedParts(layer.parts, parts).length }))
    .sort((a, b) => a.count - b.count || (a.layer.createdAt < b.layer.createdAt ? 1 : -1))
  return candidates[0]?.layer
}

function explainMiss(parts: LayerParts, closest: Layer | undefined): string {
  if (closest === undefined) return 'never built'
  const own = ownChanges(closest.parts, parts)
  return own.length > 0 ? `${own.join(', ')} changed` : 'a layer below changed'
}

/** Layers whose base has the same suite and architecture. A layer whose parent was damaged may belong to any variant. */
function layersOfVariant(layers: readonly Layer[], { suite, arch }: BaseParts): readonly Layer[] {
  const bases = basesOf(layers)
  return layers.filter((layer) => {
    const base = bases.get(layer)
    return base === undefined || (base.suite === suite && base.arch === arch)
  })
}

/**
 * Names of the parts that changed by themselves. `command` is rendered from the others, so it counts only if no other
 * changed.
 */
export function ownChanges(
  before: Readonly<Record<string, Json>>,
  after: Readonly<Record<string, Json>>,
): readonly string[] {
  const own = changedParts(before, after).filter((part) => part !== 'parent')
  const telling = own.filter((part) => part !== 'command')
  return telling.length > 0 ? telling : own
}

/** Names of the parts that differ between two keys. */
export function changedParts(
  before: Readonly<Record<string, Json>>,
  after: Readonly<Record<string, Json>>,
): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.filter((name) => {
    const [old, now] = [before[name] ?? null, after[name] ?? null]
    return old !== now && canonicalJson(old) !== canonicalJson(now)
  })
}

/** Pushes layers to a registry and pulls them. A registry is a cache: without it, a build only takes longer. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { awaitedLater } from '../host/awaited-later.ts'
import { makeTemporaryFolder } from '../host/files.ts'
import type { SshTrust } from '../host/ssh-signature.ts'
import { tookLonger, withinLimit } from '../host/within-limit.ts'
import { mostBytesOf, packLayer, unpackLayer, WrongLayer } from './artifact.ts'
import { layersOf } from './chain.ts'
import type { LayerKey } from './layer-key.ts'
import { type Layer, maximumRecordBytes } from './layer-record.ts'
import { sizeOf } from './prune.ts'
import { type Registry, RegistryFault } from './registry.ts'
import type { Store } from './store.ts'
import { limitTransfer } from './transfer-limit.ts'

/** A layer that a plan needs, and the copy in the store, if any. */
interface WantedLayer {
  readonly name: string
  readonly key: LayerKey
  readonly cached: Layer | undefined
}

/** The layers of an image, lowest first. */
interface WantedLayers {
  readonly layout: { readonly sizeBytes: number }
  readonly base: WantedLayer
  readonly stages: readonly WantedLayer[]
}

export interface ShareRequest {
  readonly plans: readonly WantedLayers[]
  readonly store: Store
  readonly registry: Registry
  /** Existing folder with room for a packed layer or two. */
  readonly workFolder: string
  /** Limit for the whole transfer. */
  readonly timeoutSeconds: number
  readonly onLayer: (layer: Layer) => void
  /** Called once it is known what will be transferred: how many layers, and their size in bytes as far as known. */
  readonly onBegin?: ((layers: number, sizeBytes: number | undefined) => void) | undefined
  readonly signal: AbortSignal
}

export interface PushRequest extends ShareRequest {
  /** Path of the SSH key that signs layers; undefined leaves them unsigned. */
  readonly signingKey: string | undefined
}

export interface PullRequest extends ShareRequest {
  /** Whose signatures are required; undefined accepts layers from anyone who can write to the registry. */
  readonly trust: SshTrust | undefined
}

export interface Shared {
  readonly layers: readonly Layer[]
  /** Why the rest was not transferred; undefined if all was. */
  readonly fault: string | undefined
}

/**
 * Signs and pushes the layers of plans that the registry lacks. Pushes the small ones while the base layer is being packed,
 * which is most of the work.
 */
export async function pushLayers(request: PushRequest): Promise<Shared> {
  const { registry, store } = request
  return withinTime(request, async (work, signal, done) => {
    const there = new Set(await registry.list(signal))
    const layers = storedLayersOf(request.plans)
      .filter(({ key }) => !there.has(key))
      .sort((a, b) => a.sizeBytes - b.sizeBytes)
    request.onBegin?.(layers.length, sizeOf(layers))
    const pushed = layers.map(() => Promise.resolve())
    try {
      for (const [index, layer] of layers.entries()) {
        if (!(await store.verify(layer))) throw new WrongLayer(`the layer of ${layer.name} is damaged here`)
        const folder = join(work, layer.key)
        await packLayer({ layer, store, folder, signingKey: request.signingKey, signal })
        // Limits both parallel pushes and packed layers waiting on disk.
        await pushed[index - atOnce]
        pushed[index] = awaitedLater(
          registry.push(folder, layer.key, signal).then(async () => {
            await rm(folder, { recursive: true, force: true })
            done(layer)
          }),
        )
      }
    } finally {
      await Promise.allSettled(pushed)
    }
    await Promise.all(pushed)
  })
}

/**
 * Pulls the layers that plans need and the registry has, lowest first, since a layer is useless without those below. The next
 * layers download while one is being unpacked.
 */
export async function pullLayers(request: PullRequest): Promise<Shared> {
  const { registry, store } = request
  return withinTime(request, async (work, signal, done) => {
    const there = new Set(await registry.list(signal))
    const wanted = wantedOf(request.plans, there)
    // Records come with their layers.
    request.onBegin?.(wanted.length, undefined)
    const pulled: Promise<void>[] = []
    const begin = (index: number) => {
      const { key, name, diskBytes } = wanted[index] ?? {}
      if (key === undefined || diskBytes === undefined) return
      const folder = join(work, key)
      const reason = new RegistryFault(`the layer of ${name} is larger than the disk of the plan`)
      const limit = limitTransfer(folder, mostBytesOf(diskBytes) + maximumRecordBytes, reason, signal)
      pulled[index] = awaitedLater(registry.pull(key, folder, limit.signal).finally(limit.stop))
    }
    try {
      for (let index = 0; index < atOnce; index += 1) begin(index)
      for (const [index, { name, key, diskBytes }] of wanted.entries()) {
        await pulled[index]
        begin(index + atOnce)
        const folder = join(work, key)
        const origin = { registry: registry.reference, pulledAt: new Date().toISOString() }
        const { trust } = request
        const unpacking = unpackLayer({ folder, key, diskBytes, origin, trust, store, signal })
        const layer = await unpacking.catch((error: unknown) => {
          if (!(error instanceof WrongLayer)) throw error
          throw new WrongLayer(`the layer of ${name} is refused: ${error.message}`)
        })
        await rm(folder, { recursive: true, force: true })
        done(layer)
      }
    } finally {
      await Promise.allSettled(pulled)
    }
  })
}

// --- internal ---

const atOnce = 3

/** Without the final disk, which is as large as all layers together, and takes half a minute to make. */
const sharedLayersOf = ({ base, stages }: WantedLayers) => layersOf({ base, stages })

/** The layers of plans that are in the store, without duplicates. */
function storedLayersOf(plans: readonly WantedLayers[]): readonly Layer[] {
  const all = plans.flatMap((plan) => sharedLayersOf(plan).flatMap(({ cached }) => cached ?? []))
  return [...new Map(all.map((layer) => [layer.key, layer])).values()]
}

/** Layers missing here that the registry has with everything below them, lowest first. */
function wantedOf(
  plans: readonly WantedLayers[],
  there: ReadonlySet<string>,
): readonly (WantedLayer & { readonly diskBytes: number })[] {
  const wanted = plans.flatMap((plan) => {
    const missing = sharedLayersOf(plan).filter(({ cached }) => cached === undefined)
    const end = missing.findIndex(({ key }) => !there.has(key))
    const diskBytes = plan.layout.sizeBytes
    return missing.slice(0, end === -1 ? missing.length : end).map((layer) => ({ ...layer, diskBytes }))
  })
  return [...new Map(wanted.map((planned) => [planned.key, planned])).values()]
}

type Done = (layer: Layer) => void

/** Returns a registry's failures as text; throws interruptions and this host's failures. */
async function withinTime(
  request: ShareRequest,
  share: (work: string, signal: AbortSignal, done: Done) => Promise<void>,
): Promise<Shared> {
  const { timeoutSeconds, signal, registry, onLayer } = request
  const layers: Layer[] = []
  const work = await makeTemporaryFolder(join(request.workFolder, 'registry'))
  let isLate = false
  const done = (layer: Layer) => {
    layers.push(layer)
    onLayer(layer)
  }
  const late = () => {
    isLate = true
    return tookLonger(timeoutSeconds * 1000)
  }
  try {
    await withinLimit(timeoutSeconds * 1000, signal, (within) => share(work, within, done), late)
    return { layers, fault: undefined }
  } catch (error) {
    signal.throwIfAborted()
    if (isLate) return { layers, fault: `${registry.reference} did not finish within ${timeoutSeconds} s` }
    if (error instanceof RegistryFault || error instanceof WrongLayer)
      return { layers, fault: `${registry.reference}: ${error.message}` }
    throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** `store`: manages the layers that builds left. */

import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { exitCodes } from '../errors.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { planImage } from '../plan/plan.ts'
import { formatBytes, plural } from '../report/format.ts'
import type { Missing } from '../stage-files/provide-source.ts'
import { layersOf } from '../store/chain.ts'
import type { Layer } from '../store/layer-record.ts'
import { choosePrunable, sizeOf } from '../store/prune.ts'
import { openStates, type States } from '../store/states.ts'
import { listedOnce, openStore, type Store } from '../store/store.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import { addShareVerbs } from './share.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { renderStoredLayers } from './views/stored-layers.ts'
import { addWaitOption, takeFolder, type WaitOptions } from './wait.ts'

interface ListOptions extends PipelineOptions {
  readonly json?: boolean
}

interface PruneOptions extends PipelineOptions, WaitOptions {
  readonly unusedFor: number
  readonly maxSize?: number
  readonly dryRun?: boolean
}

export function storeCommand(store: Command, terminal: Terminal, choose: Choose): void {
  store.helpCommand(false)
  addPipelineOptions(
    store.command('ls').description('show the layers as a tree: size, age, and what uses them'),
  )
    .option('--json', 'print the layers as JSON')
    .action((options: ListOptions) => choose(() => list(options, terminal)))
  addPipelineOptions(store.command('verify').description('compare every layer with its digest')).action(
    (options: PipelineOptions) => choose(() => verify(options, terminal)),
  )
  addWaitOption(addPipelineOptions(store.command('prune').description('remove layers that no variant uses')))
    .option('--unused-for <time>', 'only layers older than this, e.g. 12h or 7d', parseDuration, 0)
    .option(
      '--max-size <size>',
      'also the oldest layers, until at most this much is left, e.g. 20GiB',
      parseSize,
    )
    .option('--dry-run', 'only show what would be removed')
    .action((options: PruneOptions) => choose(() => prune(options, terminal)))
  addShareVerbs(store, terminal, choose)
}

interface OpenedStore {
  readonly store: Store
  readonly states: States
  readonly layers: readonly Layer[]
  /** Variants that use each layer, by key. */
  readonly users: ReadonlyMap<string, readonly string[]>
}

async function open(options: PipelineOptions, missing?: Missing): Promise<OpenedStore> {
  const all = options.variant.length === 0
  const { images, outFolder } = await choosePipeline({ ...options, all }, missing)
  const store = openStore(outFolderAt(outFolder).store)
  const users = new Map<string, string[]>()
  const listed = await listedOnce(store)
  for (const image of images) {
    const plan = await planImage(image, listed)
    for (const { key } of layersOf(plan)) users.set(key, [...(users.get(key) ?? []), image.variant])
  }
  return { store, states: openStates(outFolderAt(outFolder).states), layers: await listed.list(), users }
}

async function list(options: ListOptions, terminal: Terminal): Promise<number> {
  const { layers, users, states } = await open(options)
  const saved = await states.list()
  if (options.json) {
    const rows = layers.map((layer) => ({
      ...layer,
      usedBy: users.get(layer.key) ?? [],
      states: saved.filter((state) => state.layer === layer.key),
    }))
    terminal.out(`${JSON.stringify(rows, null, 2)}\n`)
    return exitCodes.ok
  }
  terminal.out(renderStoredLayers({ layers, saved, users }))
  return exitCodes.ok
}

async function verify(options: PipelineOptions, terminal: Terminal): Promise<number> {
  const { store, layers } = await open(options)
  const faults = await store.inspect()
  for (const { name, key, fault } of faults) terminal.out(`${name ?? 'a layer'} ${key}: ${fault}\n`)
  const count = faults.length === 0 ? 'all intact' : `${faults.length} damaged: a build makes them again`
  terminal.error(`${plural(layers.length, 'layer')}, ${count}\n`)
  return faults.length === 0 ? exitCodes.ok : exitCodes.verificationFailed
}

async function prune(options: PruneOptions, terminal: Terminal): Promise<number> {
  const found = (await chooseLayers(options)).chosen
  const isLook = options.dryRun || found.length === 0
  const chosen = isLook ? found : await removeChosen(options, terminal)
  for (const { name, key, sizeBytes } of chosen) terminal.out(`${name} ${key} ${formatBytes(sizeBytes)}\n`)
  const verb = options.dryRun ? 'would be removed' : 'removed'
  terminal.error(`${plural(chosen.length, 'layer')}, ${formatBytes(sizeOf(chosen))}, ${verb}\n`)
  return exitCodes.ok
}

async function chooseLayers(
  options: PruneOptions,
): Promise<Pick<OpenedStore, 'store' | 'states'> & { readonly chosen: readonly Layer[] }> {
  // If a file is missing, its layer has no known key and would count as unused.
  const { store, states, layers, users } = await open(options, 'download')
  const rules = { unusedForMs: options.unusedFor, maxBytes: options.maxSize, nowMs: Date.now() }
  return { store, states, chosen: choosePrunable(layers, { used: new Set(users.keys()), ...rules }) }
}

async function removeChosen(options: PruneOptions, terminal: Terminal): Promise<readonly Layer[]> {
  const lock = await takeFolder(resolvePath(options.out), 'prune', options, terminal)
  try {
    // Chosen again, because the previous holder of the lock may have changed the store.
    const { store, states, chosen } = await chooseLayers(options)
    await store.remove(...chosen.map(({ key }) => key))
    await states.prune(await store.list())
    return chosen
  } finally {
    await lock.release()
  }
}

/** Milliseconds of `90m`, `12h` or `7d`. */
function parseDuration(text: string): number {
  const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }
  const [, count, unit = ''] = /^(\d+)([mhd])$/.exec(text) ?? []
  const unitMs = units[unit]
  if (count === undefined || unitMs === undefined)
    throw new InvalidArgumentError('It must look like 90m, 12h or 7d.')
  return Number(count) * unitMs
}

/** Bytes of `500MiB` or `20GiB`. */
function parseSize(text: string): number {
  const units: Readonly<Record<string, number>> = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)(MiB|GiB|TiB)$/.exec(text) ?? []
  const unitBytes = units[unit]
  if (count === undefined || unitBytes === undefined)
    throw new InvalidArgumentError('It must look like 500MiB or 20GiB.')
  return Math.floor(Number(count) * unitBytes)
}

/** `plan`: what a build would do, and why. Touches nothing. */

import type { Command } from 'commander'
import type { ResolvedImage, ResolvedPipeline } from '../config/resolved.ts'
import { findWarnings } from '../doctor/host-checks.ts'
import { exitCodes } from '../errors.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { installerOf } from '../installers/index.ts'
import type { Readiness } from '../installers/installer.ts'
import { isFinished } from '../make/export-images.ts'
import { keysInUse } from '../make/store-bound.ts'
import { lookAhead, readEstimates } from '../plan/estimates.ts'
import { lookAtFreshness, packagesOfPlan } from '../plan/freshness.ts'
import { digestExports } from '../plan/matrix.ts'
import { type Plan, type PlannedLayer, planImage } from '../plan/plan.ts'
import { expectRoom, type Room } from '../plan/room.ts'
import { explainLayer } from '../plan/why.ts'
import { formatBytes, formatSeconds, formatTable } from '../report/format.ts'
import { describeFreshness, type Freshness } from '../report/freshness.ts'
import { layersOf } from '../store/chain.ts'
import { sizeOf } from '../store/prune.ts'
import { openStore, type Store } from '../store/store.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface PlanCommandOptions extends PipelineOptions {
  readonly json?: boolean
  readonly why?: boolean
}

export function planCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(command)
    .option('--why', 'show what differs from the stored layers, old and new')
    .option('--json', 'print the plan as JSON')
    .action((options: PlanCommandOptions) => choose(() => plan(options, terminal)))
}

async function plan(options: PlanCommandOptions, terminal: Terminal): Promise<number> {
  const { pipeline, images, outFolder } = await choosePipeline(options)
  const store = openStore(outFolderAt(outFolder).store)
  const shown = []
  const readiness = new Map<string, Readiness>()
  for (const image of images) {
    const planned = await planImage(image, store)
    // The archives answer while everything else is looked at.
    const comparing = compareWithArchives(image, planned, outFolder)
    const ready = await readinessOf(image, planned)
    if (ready !== undefined) readiness.set(image.variant, ready)
    const layers = await store.list()
    const estimates = await readEstimates(outFolder, layers, image)
    const isExported = await isFinished(planned, outFolder)
    const { estimateSeconds } = lookAhead(planned, estimates, isExported)
    const rows = await Promise.all(
      layersOf(planned).map(async (layer) => ({
        ...describeLayer(layer),
        ...(options.why ? { differences: await explainLayer(layer, store) } : {}),
      })),
    )
    shown.push({
      variant: image.variant,
      contract: image.verification.contract,
      installer: { name: image.installer, ...ready?.details },
      layers: rows,
      images: isExported ? 'there' : 'to make',
      exports: digestExports(image),
      estimateSeconds,
      room: await expectRoom(planned, outFolder, layers, !isExported),
      freshness: (await comparing) ?? null,
    })
  }
  const stored = await outlook(pipeline, store, shown)
  if (options.json) {
    terminal.out(
      `${JSON.stringify(
        shown.map((image) => ({ ...image, store: stored })),
        null,
        2,
      )}\n`,
    )
    return exitCodes.ok
  }
  for (const one of shown) {
    const { variant, contract, installer, layers, images: files, estimateSeconds, room, freshness } = one
    const rows = layers.map(({ name, action, key, reason }) => [name, action, key.slice(0, 12), reason ?? ''])
    terminal.out(
      `${terminal.colors.bold(variant)}\n${formatTable([['layer', 'action', 'key', 'why'], ...rows])}\n`,
    )
    for (const { name, differences = [] } of layers) {
      for (const { part, lines } of differences) {
        terminal.out(
          `\n${terminal.colors.bold(`${name}: ${part}`)}\n${lines.map((line) => `  ${line}\n`).join('')}`,
        )
      }
    }
    const ready = readiness.get(variant)
    if (ready !== undefined) {
      const text = `installer: ${installer.name} ${ready.text}`
      if (ready.isFit) terminal.out(`${text}\n`)
      else terminal.error(`${terminal.colors.yellow('!')} ${text}\n  ${ready.advice}\n`)
    }
    if (contract === 'cloudstack-payload')
      terminal.out("contract: cloudstack-payload, what holds where first boot is CloudStack's own\n")
    if (freshness !== null) showFreshness(freshness, terminal)
    const time = estimateSeconds === undefined ? 'time unknown' : `about ${formatSeconds(estimateSeconds)}`
    terminal.out(`images: ${files}; ${time}\n`)
    if (room.peakBytes > 0) terminal.out(`room: ${describeRoom(room)}\n`)
    for (const text of await findWarnings({ images: [], outDir: outFolder, room })) {
      terminal.error(`${terminal.colors.yellow('!')} ${text}\n`)
    }
  }
  const { bytes, maximumBytes, neededBytes } = stored
  const most = maximumBytes === null ? '' : ` of at most ${formatBytes(maximumBytes)}`
  const free = formatBytes(shown[0]?.room.freeBytes ?? 0)
  terminal.out(`output: ${outFolder}; ${free} are free there, layers take ${formatBytes(bytes)}${most}\n`)
  if (maximumBytes !== null && neededBytes > maximumBytes) {
    const text = `the layers in use will take ${formatBytes(neededBytes)}, more than store.maximumGiB, which is ${formatBytes(maximumBytes)}`
    terminal.error(`${terminal.colors.yellow('!')} ${text}\n`)
  }
  return exitCodes.ok
}

/** Whether an upcoming installation can work: half an hour depends on it. */
async function readinessOf(image: ResolvedImage, { base }: Plan): Promise<Readiness | undefined> {
  return base.cached === undefined ? installerOf(image).readiness?.(image) : undefined
}

/** The packages of stored layers; those that are made next are as new as the archives. */
async function compareWithArchives(
  image: ResolvedImage,
  planned: Plan,
  outFolder: string,
): Promise<Freshness | undefined> {
  if (planned.base.cached === undefined) return undefined
  return lookAtFreshness({ image, packages: packagesOfPlan(planned), outFolder })
}

function showFreshness(freshness: Freshness, { out, error, colors }: Terminal): void {
  const text = `updates: ${describeFreshness(freshness)}`
  if (freshness.status !== 'outdated') out(`${text}\n`)
  else error(`${colors.yellow('!')} ${text}\n  build --refresh makes every layer again\n`)
}

/** The store's size and maximum: `neededBytes` is what cannot be pruned once the plans are carried out. */
async function outlook(
  { images, maximumStoreBytes }: ResolvedPipeline,
  store: Store,
  shown: readonly { readonly room: Room }[],
) {
  const used = await keysInUse(images, store)
  const layers = await store.list()
  const toMake = shown.flatMap(({ room }) => room.layers.map(({ bytes }) => bytes ?? 0))
  return {
    bytes: sizeOf(layers),
    maximumBytes: maximumStoreBytes ?? null,
    neededBytes: toMake.reduce(
      (sum, bytes) => sum + bytes,
      sizeOf(layers.filter(({ key }) => used.has(key))),
    ),
  }
}

/** `about 1.2 GiB: layers 0.2 GiB, kvm 430.0 MiB, a flat disk 1.0 GiB while images are made`, or the assumption. */
function describeRoom({ layers, images, flatBytes, workBytes, peakBytes, isKnown }: Room): string {
  const size = (bytes: number | undefined) => (bytes === undefined ? 'unknown' : formatBytes(bytes))
  const ofLayers = layers.map(({ bytes }) => bytes)
  const isSummed = ofLayers.every((bytes) => bytes !== undefined)
  const parts = [
    ...(layers.length === 0
      ? []
      : [
          `layers ${size(isSummed ? ofLayers.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0) : undefined)}`,
        ]),
    ...images.map(({ name, bytes }) => `${name} ${size(bytes)}`),
    ...(images.length === 0 ? [] : [`a flat disk ${size(flatBytes)} while images are made`]),
    ...(workBytes === undefined ? [] : [`${size(workBytes)} while layer 0 is made`]),
  ]
  const total = isKnown ? `about ${formatBytes(peakBytes)}` : `${formatBytes(peakBytes)} must be free`
  return `${total}: ${parts.join(', ')}`
}

function describeLayer({ name, key, cached, reason }: PlannedLayer) {
  return { name, key, action: cached === undefined ? ('run' as const) : ('cached' as const), reason }
}

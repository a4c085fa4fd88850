/** `plan`: what a build would do, and why. Touches nothing. */

import type { Command } from 'commander'
import type { ResolvedImage, ResolvedPipeline } from '../config/resolved.ts'
import { findWarnings } from '../doctor/host-checks.ts'
import { exitCodes } from '../errors.ts'
import { awaitedLater } from '../host/awaited-later.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { installerOf } from '../installers/index.ts'
import type { Readiness } from '../installers/installer.ts'
import { isFinished } from '../make/export-images.ts'
import { keysInUse } from '../make/store-bound.ts'
import { lookAhead, readEstimates } from '../plan/estimates.ts'
import { lookAtFreshness, packagesOfPlan } from '../plan/freshness.ts'
import { digestExports } from '../plan/matrix.ts'
import { type Plan, type PlannedLayer, planImage } from '../plan/plan.ts'
import { expectRoom } from '../plan/room.ts'
import { explainLayer } from '../plan/why.ts'
import type { Freshness } from '../report/freshness.ts'
import { layersOf } from '../store/chain.ts'
import { sizeOf } from '../store/prune.ts'
import { listedOnce, openStore, type Store } from '../store/store.ts'
import { isVerified } from '../verify/candidates.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import { type Terminal, warn } from './terminal.ts'
import type { Choose } from './verb.ts'
import {
  type PlannedImage,
  type PlanText,
  renderPlannedImage,
  renderStore,
  type StoreOutlook,
} from './views/plan.ts'

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
  const store = await listedOnce(openStore(outFolderAt(outFolder).store))
  const shown = []
  for (const image of images) shown.push(await lookAtImage(image, store, outFolder, options.why === true))
  const outlook = await outlookOf(pipeline, store, shown)
  if (options.json) {
    const document = shown.map(({ facts }) => ({ ...facts, store: outlook }))
    terminal.out(`${JSON.stringify(document, null, 2)}\n`)
    return exitCodes.ok
  }
  const show = ({ text, isWarning }: PlanText) =>
    isWarning ? warn(terminal, text) : terminal.out(`${text}\n`)
  for (const { facts, readiness } of shown) {
    const warnings = await findWarnings({ images: [], outDir: outFolder, room: facts.room })
    renderPlannedImage(facts, { readiness, warnings }, terminal.colors).forEach(show)
  }
  renderStore(outlook, outFolder, shown[0]?.facts.room.freeBytes ?? 0).forEach(show)
  return exitCodes.ok
}

/** What a build of an image would do. `facts` is an element of `plan --json`. */
async function lookAtImage(image: ResolvedImage, store: Store, outFolder: string, isExplained: boolean) {
  const planned = await planImage(image, store)
  // The archives respond while everything else is examined.
  const comparing = awaitedLater(compareWithArchives(image, planned, outFolder))
  const readiness = await readinessOf(image, planned)
  const layers = await store.list()
  const isExported = await isFinished(planned, outFolder)
  const estimates = await readEstimates(outFolder, layers, image)
  const { estimateSeconds, assumesEmulation } = lookAhead(planned, estimates, {
    areWanted: true,
    exist: isExported,
    areVerified: isVerified(image),
  })
  const facts = {
    variant: image.variant,
    contract: image.verification.contract,
    installer: { name: image.installer, ...readiness?.details },
    layers: await Promise.all(
      layersOf(planned).map(async (layer) => ({
        ...describeLayer(layer),
        ...(isExplained ? { differences: await explainLayer(layer, store) } : {}),
      })),
    ),
    images: isExported ? 'there' : 'to make',
    exports: digestExports(image),
    estimateSeconds,
    assumesEmulation,
    room: await expectRoom(planned, outFolder, layers, !isExported),
    freshness: (await comparing) ?? null,
  } satisfies PlannedImage & { readonly exports: object }
  return { facts, readiness }
}

function describeLayer({ name, key, cached, reason }: PlannedLayer) {
  return { name, key, action: cached === undefined ? ('run' as const) : ('cached' as const), reason }
}

/** Whether an upcoming installation can succeed: a failure would cost half an hour. */
async function readinessOf(image: ResolvedImage, { base }: Plan): Promise<Readiness | undefined> {
  return base.cached === undefined ? installerOf(image).readiness?.(image) : undefined
}

/** Compares the packages of stored layers only; layers still to be made will be as new as the archives. */
async function compareWithArchives(
  image: ResolvedImage,
  planned: Plan,
  outFolder: string,
): Promise<Freshness | undefined> {
  if (planned.base.cached === undefined) return undefined
  return lookAtFreshness({ image, packages: packagesOfPlan(planned), outFolder })
}

async function outlookOf(
  { images, maximumStoreBytes }: ResolvedPipeline,
  store: Store,
  shown: readonly { readonly facts: Pick<PlannedImage, 'room'> }[],
): Promise<StoreOutlook> {
  const used = await keysInUse(images, store)
  const layers = await store.list()
  const toMake = shown.flatMap(({ facts }) => facts.room.layers.map(({ bytes }) => bytes ?? 0))
  return {
    bytes: sizeOf(layers),
    maximumBytes: maximumStoreBytes ?? null,
    neededBytes: toMake.reduce(
      (sum, bytes) => sum + bytes,
      sizeOf(layers.filter(({ key }) => used.has(key))),
    ),
  }
}

/** `lock`: records what the last build was made from, and shows how that differs from the previous record. */

import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { isUnresolved } from '../config/mirror.ts'
import type { ResolvedImage, ResolvedPipeline } from '../config/resolved.ts'
import { findNewestSnapshot } from '../debian/snapshots.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { replaceDurably } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { unlessMissing } from '../host/unless-missing.ts'
import { readTools } from '../make/preflight.ts'
import { planImage } from '../plan/plan.ts'
import { bumpLock } from '../provenance/bump.ts'
import { gatherInputs } from '../provenance/gather.ts'
import type { Inputs } from '../provenance/inputs.ts'
import { type Lock, type LockedVariant, lockOf, lockPath, readLock, renderLock } from '../provenance/lock.ts'
import { layersOf } from '../store/chain.ts'
import { openStore } from '../store/store.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { describeChange, renderChange } from './views/lock.ts'

interface UpdateOptions extends PipelineOptions {
  readonly bump?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

export function lockCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(
    command
      .helpCommand(false)
      .command('update')
      .description('lock what the last build was made from, and show what changes; contacts no mirror'),
  )
    .option('--bump', 'lock what a build from scratch would use today, according to the archives')
    .option('--dry-run', 'only show what would change')
    .option('--json', 'print what changes as JSON')
    .action((options: UpdateOptions) => choose(() => update(options, terminal)))
}

async function update(options: UpdateOptions, terminal: Terminal): Promise<number> {
  const path = lockPath(options)
  const isThere = (await unlessMissing(path, () => stat(path))) !== undefined
  const before: Lock = isThere ? (await readLock(path)).lock : { version: 1, variants: {} }
  const { pipeline, found } = await untilInterrupted((signal) =>
    options.bump ? bump(options, before, terminal, signal) : readBuilt(options, terminal, signal),
  )
  // A variant that is no longer in the pipeline would never be checked.
  const kept = Object.entries(before.variants).filter(([name]) =>
    pipeline.images.some(({ variant }) => variant === name),
  )
  const variants = [...found].map(([name, { locked }]) => [name, locked] as const)
  const after: Lock = { version: 1, variants: Object.fromEntries([...kept, ...variants]) }
  const changes = [...found].map(([variant, { locked, security }]) =>
    describeChange(variant, before.variants[variant], locked, security),
  )
  if (!options.dryRun) await replaceDurably(path, renderLock(after))
  if (options.json) terminal.out(`${JSON.stringify(changes, null, 2)}\n`)
  else for (const change of changes) terminal.out(renderChange(change))
  terminal.error(`${path} ${options.dryRun ? 'left as it was' : 'written'}\n`)
  return exitCodes.ok
}

// --- internal ---

interface Found {
  readonly locked: LockedVariant
  /** Packages whose new version is a security fix; undefined if no archive was queried. */
  readonly security?: readonly string[]
}

interface FoundVariants {
  readonly pipeline: ResolvedPipeline
  /** By variant. */
  readonly found: ReadonlyMap<string, Found>
}

/** What was built here. */
async function readBuilt(
  options: UpdateOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<FoundVariants> {
  const isNamed = options.variant.length > 0
  const { pipeline, images, outFolder } = await choosePipeline({ ...options, all: !isNamed })
  const found = new Map<string, Found>()
  for (const image of images) {
    const inputs = await findInputs(image, outFolder, signal)
    if (inputs !== undefined) found.set(image.variant, { locked: lockOf(inputs) })
    else if (isNamed || images.length === 1) throw notBuilt(image)
    else terminal.error(`${image.variant}: not built here, left unchanged\n`)
  }
  if (found.size === 0) throw notBuilt(images[0] as ResolvedImage)
  return { pipeline, found }
}

/** What would be built from the newest state of the archives. */
async function bump(
  options: UpdateOptions,
  before: Lock,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<FoundVariants> {
  const all = { ...options, all: options.variant.length === 0 }
  const open = await choosePipeline(all, 'leave out', new Map())
  const snapshots = new Map<string, string>()
  for (const { variant, mirror } of open.images)
    if (isUnresolved(mirror)) snapshots.set(variant, await findNewestSnapshot(mirror, new Date(), signal))
  const { pipeline, images, outFolder } = await choosePipeline(all, 'leave out', snapshots)
  const store = openStore(outFolderAt(outFolder).store)
  const found = new Map<string, Found>()
  for (const image of images) {
    const { versions: tools } = await readTools(image.arch)
    const locked = before.variants[image.variant]
    const bumped = await bumpLock({ image, before: locked, store, outFolder, tools, signal })
    if (!bumped.knowsStages)
      terminal.error(`${image.variant}: not built here, so packages that stages remove are in the lock\n`)
    found.set(image.variant, { locked: bumped.after, security: bumped.security })
  }
  return { pipeline, found }
}

/** What an image was made from, if all its layers are in the store. */
async function findInputs(
  image: ResolvedImage,
  outFolder: string,
  signal: AbortSignal,
): Promise<Inputs | undefined> {
  const store = openStore(outFolderAt(outFolder).store)
  const planned = layersOf(await planImage(image, store))
  const layers = planned.flatMap(({ cached }) => cached ?? [])
  if (layers.length < planned.length) return undefined
  return gatherInputs({ image, layers, store, outFolder, signal })
}

function notBuilt({ variant }: ResolvedImage): PipelineError {
  return new PipelineError({
    code: 'not-built',
    message: `${variant} was not built from the current pipeline: what it would be made from is not known`,
    hint: `build it first: npm run build:image -- --variant ${variant}`,
    exitCode: exitCodes.badInput,
  })
}

/** `lock`: records what the last build was made from, and shows how that differs from the previous record. */

import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ResolvedImage } from '../config/resolved.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { writeDurably } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { planImage } from '../plan/plan.ts'
import { gatherInputs } from '../provenance/gather.ts'
import type { Inputs } from '../provenance/inputs.ts'
import {
  compareLocks,
  type Lock,
  type LockedVariant,
  lockOf,
  lockPath,
  readLock,
  renderLock,
} from '../provenance/lock.ts'
import { plural } from '../report/format.ts'
import { layersOf } from '../store/chain.ts'
import { openStore } from '../store/store.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface UpdateOptions extends PipelineOptions {
  readonly dryRun?: boolean
  readonly json?: boolean
}

export function lockCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(
    command
      .helpCommand(false)
      .command('update')
      .description('lock what the last build was made from, and show what changes; asks no mirror'),
  )
    .option('--dry-run', 'only show what would change')
    .option('--json', 'print what changes as JSON')
    .action((options: UpdateOptions) => choose(() => update(options, terminal)))
}

async function update(options: UpdateOptions, terminal: Terminal): Promise<number> {
  const isNamed = options.variant.length > 0
  const { pipeline, images, outFolder } = await choosePipeline({ ...options, all: !isNamed })
  const path = lockPath(options)
  const isThere = (await stat(path).catch(() => undefined)) !== undefined
  const before: Lock = isThere ? (await readLock(path)).lock : { version: 1, variants: {} }
  const found = new Map<string, LockedVariant>()
  for (const image of images) {
    const inputs = await untilInterrupted((signal) => findInputs(image, outFolder, signal))
    if (inputs !== undefined) found.set(image.variant, lockOf(inputs))
    else if (isNamed || images.length === 1) throw notBuilt(image)
    else terminal.error(`${image.variant}: not built here, left as it was\n`)
  }
  if (found.size === 0) throw notBuilt(images[0] as ResolvedImage)
  // A variant that is no longer in the pipeline would never be checked.
  const kept = Object.entries(before.variants).filter(([name]) =>
    pipeline.images.some(({ variant }) => variant === name),
  )
  const after: Lock = { version: 1, variants: { ...Object.fromEntries(kept), ...Object.fromEntries(found) } }
  const changes = [...found].map(([variant, now]) => ({
    variant,
    changes: compareLocks(before.variants[variant], now),
  }))
  if (!options.dryRun) await writeDurably(path, renderLock(after))
  if (options.json) terminal.out(`${JSON.stringify(changes, null, 2)}\n`)
  else for (const change of changes) terminal.out(describe(change))
  terminal.error(`${path} ${options.dryRun ? 'left as it was' : 'written'}\n`)
  return exitCodes.ok
}

function describe({
  variant,
  changes,
}: {
  readonly variant: string
  readonly changes: readonly string[]
}): string {
  if (changes.length === 0) return `${variant}: nothing changes\n`
  return `${variant}: ${plural(changes.length, 'change')}\n${changes.map((line) => `  ${line}\n`).join('')}`
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
    message: `${variant} is not built as the pipeline now has it: what it is made from is not known`,
    hint: `build it first: npm run build:image -- --variant ${variant}`,
    exitCode: exitCodes.badInput,
  })
}

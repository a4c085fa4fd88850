/** `matrix`: prints the variants as a GitHub Actions matrix. */

import { join, resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { Arch } from '../arch.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { exitCodes } from '../errors.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { hasChanged, planEarlier } from '../plan/changed-since.ts'
import { defaultRunners, digestExports, isChosen, matrixOf } from '../plan/matrix.ts'
import { planImage } from '../plan/plan.ts'
import { layersOf } from '../store/chain.ts'
import { openStore } from '../store/store.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

type Runners = Partial<Record<Arch, string>>

interface MatrixOptions extends PipelineOptions {
  readonly only: readonly string[]
  readonly changedSince?: string
  readonly runner: Runners
}

export function matrixCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(command)
    .option(
      '--only <pattern>',
      'only variants with this name, with * as a wildcard; may be repeated',
      (value: string, before: readonly string[]) => [...before, ...value.split(/[\s,]+/).filter(Boolean)],
      [] as readonly string[],
    )
    .option('--changed-since <revision>', 'only variants that this revision would have built differently')
    .option(
      '--runner <arch=label>',
      `runner for an architecture, instead of ${defaultRunners.x86_64}; may be repeated`,
      parseRunner,
      {},
    )
    .action((options: MatrixOptions) => choose(() => matrix(options, terminal)))
}

async function matrix(options: MatrixOptions, terminal: Terminal): Promise<number> {
  const isNamed = options.variant.length > 0
  const { images } = await choosePipeline({ ...options, all: !isNamed })
  const { only } = options
  const chosen = only.length === 0 ? images : images.filter(({ variant }) => isChosen(variant, only))
  if (chosen.length === 0) {
    const known = images.map(({ variant }) => variant).join(', ')
    terminal.error(`no variant is named ${only.join(' or ')}; there are ${known}\n`)
  }
  const changed = chosen.length === 0 ? [] : await chooseChanged(chosen, options, terminal)
  terminal.out(`${JSON.stringify(matrixOf(changed, options.runner))}\n`)
  return exitCodes.ok
}

async function chooseChanged(
  images: readonly ResolvedImage[],
  options: MatrixOptions,
  terminal: Terminal,
): Promise<readonly ResolvedImage[]> {
  const { changedSince: revision } = options
  if (revision === undefined) return images
  return inWorkFolder(async (workFolder) => {
    const pipeline = resolvePath(options.pipeline)
    const words = overridesOf(options)
    const found = await untilInterrupted((signal) =>
      planEarlier({ pipeline, revision, options: words, workFolder, signal }),
    )
    if ('reason' in found) {
      terminal.error(`everything counts as changed: ${found.reason}\n`)
      return images
    }
    const none = openStore(join(workFolder, 'store'))
    const chosen: ResolvedImage[] = []
    for (const image of images) {
      const layers = layersOf(await planImage(image, none))
      const identity = { variant: image.variant, layers, exports: digestExports(image) }
      if (hasChanged(identity, found.plan)) chosen.push(image)
      else terminal.error(`${image.variant}: nothing has changed since ${revision}\n`)
    }
    return chosen
  })
}

/** Options that affect a plan in addition to the pipeline, as words of a command line. */
function overridesOf({ config, set, targets, installer, payload }: MatrixOptions): readonly string[] {
  return [
    ...config.flatMap((file) => ['--config', resolvePath(file)]),
    ...set.flatMap((assignment) => ['--set', assignment]),
    // An earlier version may lack the dedicated options.
    ...(targets === undefined ? [] : ['--set', `targets=[${targets}]`]),
    ...(installer === undefined ? [] : ['--set', `installer=${installer}`]),
    ...(payload === undefined ? [] : ['--payload', payload]),
  ]
}

function parseRunner(text: string, before: Runners): Runners {
  const [, arch, label] = /^([^=]+)=(\S+)$/.exec(text) ?? []
  if (arch === undefined || label === undefined || !Object.hasOwn(defaultRunners, arch)) {
    throw new InvalidArgumentError(`It must look like x86_64=${defaultRunners.x86_64}.`)
  }
  return { ...before, [arch]: label }
}

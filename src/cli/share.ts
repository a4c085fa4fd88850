/** `store push` and `store pull`: layers to and from a registry, so that machines need not make the same ones. */

import { mkdir } from 'node:fs/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { exitCodes } from '../errors.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { planImage } from '../plan/plan.ts'
import { formatBytes } from '../report/format.ts'
import { sizeOf } from '../store/prune.ts'
import { openRegistry } from '../store/registry.ts'
import { pullLayers, pushLayers } from '../store/share.ts'
import { openStore } from '../store/store.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { addWaitOption, takeFolder, type WaitOptions } from './wait.ts'

interface ShareOptions extends PipelineOptions, WaitOptions {
  readonly timeout: number
  readonly json?: boolean
}

const verbs = {
  push: { share: pushLayers, done: 'pushed', summary: 'upload the layers that a registry lacks' },
  pull: {
    share: pullLayers,
    done: 'pulled',
    summary:
      'fetch layers that a build would have to make; a failing registry is reported, and is not an error',
  },
} as const

export function addShareVerbs(store: Command, terminal: Terminal, choose: Choose): void {
  for (const verb of ['push', 'pull'] as const) {
    addWaitOption(addPipelineOptions(store.command(verb).description(verbs[verb].summary)))
      .argument(
        '<reference>',
        'repository of an OCI registry, e.g. ghcr.io/owner/layers; log in with skopeo login',
      )
      .option('--timeout <seconds>', 'limit for the whole transfer', parseSeconds, 300)
      .option('--json', 'print the layers as JSON')
      .action((reference: string, options: ShareOptions) =>
        choose(() => share(verb, reference, options, terminal)),
      )
  }
}

async function share(
  verb: keyof typeof verbs,
  reference: string,
  options: ShareOptions,
  terminal: Terminal,
): Promise<number> {
  const registry = openRegistry(reference)
  const { done, share: run } = verbs[verb]
  const { images, outFolder } = await choosePipeline(
    { ...options, all: options.variant.length === 0 },
    'download',
  )
  const workFolder = outFolderAt(outFolder).cache.path
  await mkdir(workFolder, { recursive: true })
  const lock = await takeFolder(outFolder, verb, options, terminal)
  try {
    const store = openStore(outFolderAt(outFolder).store, lock.confirm)
    const plans = await Promise.all(images.map((image) => planImage(image, store)))
    const { layers, fault } = await untilInterrupted((signal) =>
      run({
        plans,
        store,
        registry,
        workFolder,
        timeoutSeconds: options.timeout,
        onLayer: ({ name, key, sizeBytes }) => {
          if (!options.json) terminal.out(`${name} ${key} ${formatBytes(sizeBytes)}\n`)
        },
        signal,
      }),
    )
    if (options.json) {
      const rows = layers.map(({ name, key, sizeBytes }) => ({ name, key, sizeBytes }))
      terminal.out(`${JSON.stringify({ layers: rows, fault: fault ?? null }, null, 2)}\n`)
    }
    if (fault !== undefined) terminal.error(`${terminal.colors.yellow('!')} ${fault}\n`)
    terminal.error(`${layers.length} layers, ${formatBytes(sizeOf(layers))}, ${done}\n`)
    // A layer that is not fetched is made here; one that is not uploaded is missing elsewhere.
    return fault !== undefined && verb === 'push' ? exitCodes.hostNotFit : exitCodes.ok
  } finally {
    await lock.release()
  }
}

function parseSeconds(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It is whole seconds, e.g. 300.')
}

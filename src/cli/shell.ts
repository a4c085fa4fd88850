/** `shell`: a root shell in a throwaway copy of the disk as a stage left it. */

import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import type { ResolvedImage } from '../config/resolved.ts'
import { requireFit } from '../doctor/host-checks.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { planImage } from '../plan/plan.ts'
import { chooseAccelerator } from '../qemu/accelerator.ts'
import { findKernels } from '../qemu/kept-kernels.ts'
import { openShell } from '../stages/open-shell.ts'
import { layersOf } from '../store/chain.ts'
import { noLayer } from '../store/no-layer.ts'
import { openStore } from '../store/store.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

export function shellCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument('<stage>', 'name of a stage, or base')
    .argument(
      '[command...]',
      'command to run instead of a shell, after --; a single word is run as a line of shell',
    )
  addPipelineOptions(command).action((stage: string, words: readonly string[], options: PipelineOptions) =>
    choose(() => shell(stage, words, options, terminal)),
  )
}

async function shell(
  stage: string,
  command: readonly string[],
  options: PipelineOptions,
  terminal: Terminal,
): Promise<number> {
  const { images, outFolder } = await choosePipeline(options)
  const image = images[0] as ResolvedImage
  await requireFit('shell', { images: [image] })
  const { cache, store: storeFolder } = outFolderAt(outFolder)
  const store = openStore(storeFolder)
  const plan = await planImage(image, store)
  const layers = layersOf(plan)
  const planned = layers.find(({ name }) => name === stage)
  if (planned?.cached === undefined) throw noLayer(stage, 'stage', layers)
  terminal.error(`booting a copy of ${stage} of ${image.variant}; changes to it are thrown away\n`)
  return untilInterrupted((signal) =>
    openShell({
      image,
      layout: plan.layout,
      // The copy's header names its backing file, which must not depend on the current folder.
      disk: resolvePath(store.disk(planned.key)),
      command,
      acceleration: async (kernel) =>
        chooseAccelerator({
          arch: image.arch,
          kernels: [kernel, ...(await findKernels(cache.kernels))],
          cacheDir: cache.path,
        }),
      onReady: () => terminal.error('ready\n'),
      signal,
    }),
  )
}

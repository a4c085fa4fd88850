/** `plan`: what a build would do, and why. Touches nothing. */

import { join } from 'node:path'
import type { Command } from 'commander'
import { freeBytes, neededBytes } from '../build/preflight.ts'
import { exitCodes } from '../errors.ts'
import { isFinished } from '../export/export-images.ts'
import { lookAhead, readEstimates } from '../plan/estimates.ts'
import { type PlannedLayer, planImage } from '../plan/plan.ts'
import { explainLayer } from '../plan/why.ts'
import { formatBytes, formatSeconds, formatTable } from '../report/format.ts'
import { openStore } from '../store/store.ts'
import { addPipelineOptions, type Choose, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'

interface PlanCommandOptions extends PipelineOptions {
  readonly json?: boolean
  readonly why?: boolean
}

export function planCommand(program: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(
    program.command('plan').description('show what a build would do, and why; touches nothing'),
  )
    .option('--why', 'show what differs from the stored layers, old and new')
    .option('--json', 'print the plan as JSON')
    .action((options: PlanCommandOptions) => choose(() => plan(options, terminal)))
}

async function plan(options: PlanCommandOptions, terminal: Terminal): Promise<number> {
  const { images, outFolder } = await choosePipeline(options)
  const store = openStore(join(outFolder, 'store'))
  const shown = []
  for (const image of images) {
    const planned = await planImage(image, store)
    const estimates = await readEstimates(outFolder, await store.list())
    const isExported = await isFinished(planned, outFolder)
    const { estimateSeconds } = lookAhead(planned, estimates, isExported)
    const rows = await Promise.all(
      [planned.base, ...planned.stages].map(async (layer) => ({
        ...describeLayer(layer),
        ...(options.why ? { differences: await explainLayer(layer, store) } : {}),
      })),
    )
    shown.push({
      variant: image.variant,
      layers: rows,
      images: isExported ? 'there' : 'to make',
      estimateSeconds,
    })
  }
  if (options.json) {
    terminal.out(`${JSON.stringify(shown, null, 2)}\n`)
    return exitCodes.ok
  }
  for (const { variant, layers, images: files, estimateSeconds } of shown) {
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
    const time = estimateSeconds === undefined ? 'time unknown' : `about ${formatSeconds(estimateSeconds)}`
    terminal.out(`images: ${files}; ${time}\n`)
  }
  const room = `${formatBytes(neededBytes)} have to be free where it lies, ${formatBytes(await freeBytes(outFolder))} are`
  terminal.out(`output: ${outFolder}; ${room}\n`)
  return exitCodes.ok
}

function describeLayer({ name, key, cached, reason }: PlannedLayer) {
  return { name, key, action: cached === undefined ? ('run' as const) : ('cached' as const), reason }
}

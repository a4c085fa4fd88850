/** `build`: makes images. */

import { type Command, Option } from 'commander'
import { buildImage } from '../build/build-image.ts'
import type { Decide, Decision } from '../build/hold.ts'
import type { BuildRequest } from '../build/run.ts'
import { exitCodes } from '../errors.ts'
import type { Accelerator } from '../host/accelerator.ts'
import type { Emit } from '../report/events.ts'
import type { Report } from '../report/report.ts'
import { untilInterrupted } from './interrupt.ts'
import { askPerson } from './on-failure.ts'
import { addPipelineOptions, type Choose, choosePipeline, type PipelineOptions } from './options.ts'
import { reportTo, type Terminal } from './terminal.ts'
import { addWaitOption, type WaitOptions } from './wait.ts'

interface BuildOptions extends PipelineOptions, WaitOptions {
  readonly cache: boolean
  readonly from?: string
  readonly until?: string
  readonly onFailure: 'stop' | 'shell'
  readonly accelerator?: Accelerator
  readonly json?: boolean
}

export function buildCommand(program: Command, terminal: Terminal, choose: Choose): void {
  addWaitOption(
    addPipelineOptions(
      program.command('build').description('build the image, from the first stage that changed'),
    ),
  )
    .option('--from <stage>', 'make this stage and all after it again')
    .option('--until <stage>', 'stop after this stage; exports nothing')
    .option('--no-cache', 'use no stored layer; those made are stored')
    .addOption(
      new Option('--on-failure <what>', 'when a stage fails: end, or open a shell in the guest and then ask')
        .choices(['stop', 'shell'])
        .default('stop'),
    )
    .addOption(new Option('--accelerator <name>', 'instead of finding out').choices(['kvm', 'tcg']))
    .option('--json', 'print events as JSON lines on stdout')
    .action((options: BuildOptions) => choose(() => build(options, terminal)))
}

async function build(options: BuildOptions, terminal: Terminal): Promise<number> {
  const { pipeline, images, outFolder } = await choosePipeline(options)
  const { maximumStoreBytes } = pipeline
  const bound =
    maximumStoreBytes === undefined ? undefined : { maximumBytes: maximumStoreBytes, images: pipeline.images }
  const ask = options.onFailure === 'shell' ? askPerson(terminal, process) : undefined
  const reporter = createReporter(options, terminal, outFolder)
  const command = ['systemvm-image', ...withoutValues(process.argv.slice(2))]
  const common = {
    outFolder,
    forceAccelerator: options.accelerator,
    wait: options.wait,
    bound,
    command,
    emit: reporter.emit,
  }
  const planning = { ignoreStore: !options.cache, from: options.from, until: options.until }
  try {
    return await untilInterrupted(async (signal) => {
      for (const image of images) {
        const report = await buildUntilDecided({ ...common, image, planning, signal }, ask)
        if (report.run.status !== 'succeeded') return exitCodeOf(report)
        if (!options.json) for (const { path } of report.images) terminal.out(`${outFolder}/${path}\n`)
      }
      return exitCodes.ok
    })
  } finally {
    reporter.close()
  }
}

/** Builds, and builds again for as long as somebody wants a stage that failed to be tried again. */
async function buildUntilDecided(request: BuildRequest, ask: Decide | undefined): Promise<Report> {
  let decision: Decision | undefined
  const decide = ask && (async (...held: Parameters<Decide>) => (decision = await ask(...held)))
  const report = await buildImage({ ...request, decide })
  // What was asked to be made again has been made by now, up to the stage that failed.
  const planning = { until: request.planning.until }
  return decision === 'retry' ? buildUntilDecided({ ...request, planning }, ask) : report
}

/** The command line for the report: a value may be a secret, its name is not. */
function withoutValues(words: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    const isAssignment = words[index - 1] === '--set' || word.startsWith('--set=')
    return isAssignment ? word.replace(/^((?:--set=)?[\w.-]+=)[\s\S]*$/, '$1…') : word
  })
}

function createReporter(
  options: BuildOptions,
  terminal: Terminal,
  outFolder: string,
): { readonly emit: Emit; readonly close: () => void } {
  if (options.json) {
    return { emit: (event) => terminal.out(`${JSON.stringify(event)}\n`), close: () => undefined }
  }
  return reportTo(terminal, outFolder)
}

function exitCodeOf({ run }: Report): number {
  return run.status === 'interrupted' ? exitCodes.interrupted : exitCodes.buildFailed
}

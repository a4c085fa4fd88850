/** `build`: makes images. */

import { dirname, join, resolve as resolvePath } from 'node:path'
import { type Command, Option } from 'commander'
import type { ResolvedImage } from '../config/resolved.ts'
import { expectationsOf } from '../contract/expected.ts'
import { openPackageSet } from '../debian/package-set.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { writeDurably } from '../host/files.ts'
import { describeSource, type Source } from '../host/git.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { buildImage } from '../make/make-image.ts'
import type { BuildRequest, Verify } from '../make/run.ts'
import { lockFile, lockPath, readLock } from '../provenance/lock.ts'
import { findKernels } from '../qemu/kept-kernels.ts'
import type { Accelerator } from '../qemu/machine.ts'
import { redactCommand } from '../redact.ts'
import type { Emit } from '../report/events.ts'
import type { Report } from '../report/report.ts'
import type { Decide, Decision } from '../stages/hold.ts'
import { candidatesOf, isVerified } from '../verify/candidates.ts'
import { renderJunit } from '../verify/junit.ts'
import { verifyImages } from '../verify/verify-images.ts'
import { unusedWaivers } from '../verify/waivers.ts'
import { untilInterrupted } from './interrupt.ts'
import { askPerson } from './on-failure.ts'
import {
  acceleratorOption,
  addPipelineOptions,
  choosePipeline,
  type PipelineOptions,
  pathOf,
} from './options.ts'
import { addUiOption, reportAsJson, reportTo, type Terminal, type UiOptions } from './terminal.ts'
import type { Choose } from './verb.ts'
import { addWaitOption, type WaitOptions } from './wait.ts'

interface BuildOptions extends PipelineOptions, WaitOptions, UiOptions {
  readonly cache: boolean
  readonly refresh?: boolean
  readonly from?: string
  readonly until?: string
  readonly onFailure: 'stop' | 'shell'
  readonly accelerator?: Accelerator
  readonly verify: boolean
  readonly locked?: boolean
  readonly packages?: string
  readonly json?: boolean
}

export function buildCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addUiOption(addWaitOption(addPipelineOptions(command)))
    .option('--from <stage>', 'rebuild this stage and all after it')
    .option('--until <stage>', 'stop after this stage, and export nothing')
    .option('--no-cache', 'use no stored layers; new ones are stored')
    .option('--refresh', 'rebuild every layer if the archives have newer packages than the stored layers')
    .addOption(
      new Option('--on-failure <what>', 'when a stage fails: stop, or open a shell in the guest and then ask')
        .choices(['stop', 'shell'])
        .default('stop'),
    )
    .option('--no-verify', 'do not verify the finished images')
    .option('--locked', `fail if anything differs from ${lockFile} next to the pipeline`)
    .option('--packages <folder>', 'package set of a release to build from, without a mirror')
    .addOption(acceleratorOption())
    .option('--json', 'print events as JSON lines on stdout')
    .action((options: BuildOptions) => choose(() => build(options, terminal)))
}

async function build(options: BuildOptions, terminal: Terminal): Promise<number> {
  if (options.packages !== undefined && options.refresh === true) throw noMirror()
  const { pipeline, images, outFolder } = await choosePipeline(options, 'download')
  const { maximumStoreBytes } = pipeline
  const bound =
    maximumStoreBytes === undefined ? undefined : { maximumBytes: maximumStoreBytes, images: pipeline.images }
  const ask = options.onFailure === 'shell' ? askPerson(terminal, process) : undefined
  const reporter = options.json ? reportAsJson(terminal) : reportTo(terminal, outFolder, options)
  const source = await readSource(options, outFolder, reporter.emit)
  const locked = options.locked === undefined ? undefined : await readLock(lockPath(options))
  const command = ['systemvm-image', ...redactCommand(process.argv.slice(2))]
  const common = {
    outFolder,
    forceAccelerator: options.accelerator,
    wait: options.wait,
    refresh: options.refresh,
    bound,
    command,
    source,
    locked,
    workedOn: options.until,
    emit: reporter.emit,
  }
  const planning = { ignoreStore: !options.cache, from: options.from, until: options.until }
  try {
    return await untilInterrupted(async (signal) => {
      const folder = pathOf(options.packages)
      const packages = folder === undefined ? undefined : await openPackageSet(folder, signal)
      for (const image of images) {
        const verify = options.verify ? verifyBuilt(image, options, signal) : undefined
        const report = await buildUntilDecided({ ...common, image, planning, packages, verify, signal }, ask)
        if (report.run.status !== 'succeeded') return exitCodeOf(report)
        if (!options.json) for (const { path } of report.images) terminal.out(`${outFolder}/${path}\n`)
      }
      return exitCodes.ok
    })
  } finally {
    reporter.close()
  }
}

function noMirror(): PipelineError {
  return new PipelineError({
    code: 'usage',
    message: '--refresh asks the archives for newer packages, but --packages uses no archive',
    hint: 'leave out one of them.',
    exitCode: exitCodes.badInput,
  })
}

/** The Git checkout that the pipeline is in; undefined if Git cannot read it. */
async function readSource(
  { pipeline }: BuildOptions,
  outFolder: string,
  emit: Emit,
): Promise<Source | undefined> {
  try {
    return await describeSource(dirname(resolvePath(pipeline)), outFolder)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    emit({ kind: 'note', text: `the report will name no commit. ${error.message}; ${error.hint}` })
    return undefined
  }
}

/** Builds, and builds again as long as the user wants to retry a failed stage. */
async function buildUntilDecided(request: BuildRequest, ask: Decide | undefined): Promise<Report> {
  let decision: Decision | undefined
  const decide = ask && (async (...held: Parameters<Decide>) => (decision = await ask(...held)))
  const report = await buildImage({ ...request, decide })
  // The layers to rebuild have been rebuilt by now, up to the stage that failed.
  const planning = { until: request.planning.until }
  return decision === 'retry' ? buildUntilDecided({ ...request, planning, refresh: false }, ask) : report
}

/** Verifies the images of a run, except those already verified. */
function verifyBuilt(image: ResolvedImage, options: BuildOptions, signal: AbortSignal): Verify | undefined {
  if (!isVerified(image)) return undefined
  return async (images, { runFolder, emit, estimates }) => {
    const verifications = await verifyImages({
      candidates: candidatesOf(images, runFolder.outFolder),
      expected: expectationsOf(image),
      waivers: image.waivers,
      ownChecks: image.checks,
      machine: image.verification,
      outFolder: runFolder.outFolder,
      screenshotFolder: runFolder.path,
      useVerdicts: true,
      kernels: await findKernels(outFolderAt(runFolder.outFolder).cache.kernels),
      forceAccelerator: options.accelerator,
      estimate: estimates.of,
      emit,
      signal,
    })
    await writeDurably(join(runFolder.path, 'junit.xml'), renderJunit(verifications))
    const unused = unusedWaivers(verifications, image.waivers)
    for (const id of unused) emit({ kind: 'note', text: `the waiver of ${id} is no longer needed` })
    return { verifications, unusedWaivers: unused }
  }
}

function exitCodeOf({ run }: Report): number {
  if (run.status === 'interrupted') return exitCodes.interrupted
  return run.failure?.code === 'verification-failed' ? exitCodes.verificationFailed : exitCodes.buildFailed
}

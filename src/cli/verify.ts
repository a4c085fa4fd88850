/** `verify`: boots image files and checks them against CloudStack's contract. */

import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Arch, archNames } from '../arch.ts'
import type { Waiver } from '../config/pipeline.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { expectationsOf, foreignExpectations } from '../contract/expected.ts'
import { unchecked } from '../contract/registry.ts'
import { type SceneName, sceneSpecs } from '../contract/scenes.ts'
import { requireFit } from '../doctor/host-checks.ts'
import { exitCodes } from '../errors.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { runFolderOf } from '../host/run-folder.ts'
import { findKernels } from '../qemu/kept-kernels.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { Emit } from '../report/events.ts'
import type { ImageVerification, Verification } from '../report/verification.ts'
import { type TargetName, targetNames } from '../targets/registry.ts'
import { builtCandidates, foreignCandidates, readReport } from '../verify/candidates.ts'
import { renderJunit } from '../verify/junit.ts'
import { type VerifyRequest, verifyImages } from '../verify/verify-images.ts'
import { unusedWaivers } from '../verify/waivers.ts'
import { untilInterrupted } from './interrupt.ts'
import {
  acceleratorOption,
  addPipelineOptions,
  archOfName,
  archOption,
  choosePipeline,
  type PipelineOptions,
} from './options.ts'
import { addUiOption, reportAsJson, reportTo, type Terminal, type UiOptions } from './terminal.ts'
import type { Choose } from './verb.ts'

interface VerifyOptions extends PipelineOptions, UiOptions {
  readonly target?: TargetName
  readonly arch?: Arch
  readonly scenes?: readonly SceneName[]
  readonly again?: boolean
  readonly accelerator?: Accelerator
  readonly json?: boolean
}

export function verifyCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(
    addUiOption(command).argument('[image...]', 'files built elsewhere; by default those of the last build'),
  )
    .addOption(
      new Option('--target <name>', 'target of the files, if their names do not say').choices([
        ...targetNames,
      ]),
    )
    .addOption(archOption())
    .option('--scenes <list>', 'boot only these scenes, or none', parseScenes)
    .option('--again', 'also verify files that passed before')
    .addOption(acceleratorOption())
    .option('--json', 'print events as JSON lines on stdout')
    .action((files: readonly string[], options: VerifyOptions) =>
      choose(() => verify(files, options, terminal)),
    )
}

async function verify(files: readonly string[], options: VerifyOptions, terminal: Terminal): Promise<number> {
  const { images, outFolder } = await choosePipeline(options, 'download')
  const foreign = files.map((file) => ({ arch: options.arch ?? archOfName(file) }))
  await requireFit('verify', { images: files.length > 0 ? foreign : images.map(({ arch }) => ({ arch })) })
  const reporter = options.json ? reportAsJson(terminal) : reportTo(terminal, outFolder, options)
  const [first] = images as readonly [ResolvedImage]
  try {
    return await untilInterrupted(async (signal) => {
      const context = { options, outFolder, terminal, emit: reporter.emit, signal }
      if (files.length > 0) return exitCodeOf(await verifyForeign(files, first, context))
      let exitCode: number = exitCodes.ok
      for (const image of images) exitCode = exitCodeOf(await verifyLastBuild(image, context)) || exitCode
      return exitCode
    })
  } finally {
    reporter.close()
  }
}

interface Context {
  readonly options: VerifyOptions
  readonly outFolder: string
  readonly terminal: Terminal
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Verifies the files of the last build, and adds the verdicts to its report. */
async function verifyLastBuild(
  image: ResolvedImage,
  context: Context,
): Promise<readonly ImageVerification[]> {
  const { outFolder, options } = context
  const document = await verifyAndRecord(image, image.variant, context, {
    candidates: await builtCandidates(image, outFolder, context.signal),
    expected: expectationsOf(image),
    declared: image.waivers,
    ownChecks: image.checks,
  })
  if (options.scenes === undefined) await addToReport(outFolder, document)
  return document.images
}

/** Verifies files that no pipeline here built, with the waivers and the machine of the pipeline's first image. */
async function verifyForeign(
  files: readonly string[],
  first: ResolvedImage,
  context: Context,
): Promise<readonly ImageVerification[]> {
  const { arch: chosen, target } = context.options
  const verifications: ImageVerification[] = []
  for (const arch of archNames) {
    const ofArch = files.filter((file) => (chosen ?? archOfName(file)) === arch)
    if (ofArch.length === 0) continue
    const { images } = await verifyAndRecord(first, 'foreign', context, {
      candidates: await foreignCandidates(ofArch, target, context.signal),
      expected: foreignExpectations(arch),
      // A waiver that one file does not need may be meant for others.
      declared: [],
    })
    verifications.push(...images)
  }
  return verifications
}

interface Subject extends Pick<VerifyRequest, 'candidates' | 'expected' | 'ownChecks'> {
  /** The waivers to report if they turn out to be unneeded. */
  readonly declared: readonly Waiver[]
}

/** Verifies files, writes `verification.json` and `junit.xml` to a run folder, and prints their paths. */
async function verifyAndRecord(
  { waivers, verification }: ResolvedImage,
  runName: string,
  { options, outFolder, terminal, emit, signal }: Context,
  { declared, ...subject }: Subject,
): Promise<Verification> {
  const startedAt = new Date()
  const runFolder = runFolderOf(outFolder, runName, startedAt)
  await makeFolder(runFolder.path)
  const verifications = await verifyImages({
    ...subject,
    waivers,
    machine: verification,
    outFolder,
    screenshotFolder: runFolder.path,
    kernels: await findKernels(outFolderAt(outFolder).cache.kernels),
    useVerdicts: options.again !== true,
    scenes: options.scenes,
    forceAccelerator: options.accelerator,
    emit,
    signal,
  })
  const unused = unusedWaivers(verifications, declared)
  for (const id of unused) emit({ kind: 'note', text: `the waiver of ${id} is no longer needed` })
  const document: Verification = {
    version: 1,
    startedAt: startedAt.toISOString(),
    durationSeconds: (Date.now() - startedAt.getTime()) / 1000,
    images: [...verifications],
    unusedWaivers: [...unused],
    unchecked: [...unchecked],
  }
  const paths = [join(runFolder.path, 'verification.json'), join(runFolder.path, 'junit.xml')] as const
  await writeDurably(paths[0], `${JSON.stringify(document, null, 2)}\n`)
  await writeDurably(paths[1], renderJunit(verifications))
  if (!options.json) for (const path of paths) terminal.out(`${path}\n`)
  return document
}

function exitCodeOf(verifications: readonly ImageVerification[]): number {
  const hasFailed = verifications.some(({ status }) => status === 'failed')
  return hasFailed ? exitCodes.verificationFailed : exitCodes.ok
}

/** Adds the verdicts to the report of the last build if it covers the same files. */
async function addToReport(
  outFolder: string,
  { images: verifications, unusedWaivers }: Verification,
): Promise<void> {
  const report = await readReport(outFolder)
  const isSame = verifications.every(({ sha256 }) => report?.images.some((image) => image.sha256 === sha256))
  if (report === undefined || !isSame) return
  const text = `${JSON.stringify({ ...report, verifications, unusedWaivers }, null, 2)}\n`
  await writeDurably(outFolderAt(outFolder).report, text)
}

function parseScenes(text: string): readonly SceneName[] {
  if (text === 'none') return []
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !(name in sceneSpecs))
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`${unknown} is not one of ${Object.keys(sceneSpecs).join(', ')}, none.`)
  }
  return names as SceneName[]
}

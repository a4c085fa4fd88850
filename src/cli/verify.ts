/** `verify`: boots image files and checks them against CloudStack's contract. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ResolvedImage } from '../config/resolved.ts'
import { expectationsOf, foreignExpectations } from '../contract/expected.ts'
import { unchecked } from '../contract/registry.ts'
import { type SceneName, sceneSpecs } from '../contract/scenes.ts'
import { requireFit } from '../doctor/host-checks.ts'
import { exitCodes } from '../errors.ts'
import { writeDurably } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { runFolderOf } from '../host/run-folder.ts'
import { findKernels } from '../qemu/kept-kernels.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { Emit } from '../report/events.ts'
import type { ImageVerification, Verification } from '../report/verification.ts'
import { type TargetName, targetNames } from '../targets/registry.ts'
import { builtCandidates, foreignCandidates, readReport } from '../verify/candidates.ts'
import { renderJunit } from '../verify/junit.ts'
import { verifyImages } from '../verify/verify-images.ts'
import { unusedWaivers } from '../verify/waivers.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import { reportTo, type Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface VerifyOptions extends PipelineOptions {
  readonly target?: TargetName
  readonly scenes?: readonly SceneName[]
  readonly again?: boolean
  readonly accelerator?: Accelerator
  readonly json?: boolean
}

export function verifyCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(
    command.argument(
      '[file...]',
      'image files that no pipeline here has built; without any, those of the last build',
    ),
  )
    .addOption(
      new Option('--target <name>', 'what the files are for, if their names do not say').choices([
        ...targetNames,
      ]),
    )
    .option('--scenes <list>', 'only these boots, or none', parseScenes)
    .option('--again', 'also verify what was verified before')
    .addOption(new Option('--accelerator <name>', 'use this instead of detecting it').choices(['kvm', 'tcg']))
    .option('--json', 'print events as JSON lines on stdout')
    .action((files: readonly string[], options: VerifyOptions) =>
      choose(() => verify(files, options, terminal)),
    )
}

async function verify(files: readonly string[], options: VerifyOptions, terminal: Terminal): Promise<number> {
  await requireFit('verify', { images: [] })
  const { images, outFolder } = await choosePipeline(options, 'download')
  const reporter = options.json
    ? { emit: ((event) => terminal.out(`${JSON.stringify(event)}\n`)) as Emit, close: () => undefined }
    : reportTo(terminal, outFolder)
  try {
    return await untilInterrupted(async (signal) => {
      const common = {
        outFolder,
        kernels: await findKernels(outFolderAt(outFolder).cache.kernels),
        useVerdicts: options.again !== true,
        scenes: options.scenes,
        forceAccelerator: options.accelerator,
        emit: reporter.emit,
        signal,
      }
      let isFine = true
      const asked = files.length > 0 ? [undefined] : images
      for (const image of asked) {
        const place = runFolderOf(outFolder, image?.variant ?? 'foreign', new Date())
        const candidates =
          image === undefined
            ? await foreignCandidates(files, options.target, signal)
            : await builtCandidates(image, outFolder)
        await mkdir(place.folder, { recursive: true })
        const startedAt = new Date()
        const verifications = await verifyImages({
          ...common,
          candidates,
          expected: image === undefined ? foreignExpectations : expectationsOf(image),
          waivers: (image ?? (images[0] as ResolvedImage)).waivers,
          machine: (image ?? (images[0] as ResolvedImage)).verification,
          runFolder: place.folder,
        })
        const waivers = image?.waivers ?? []
        const unused = unusedWaivers(verifications, waivers)
        for (const id of unused)
          reporter.emit({ kind: 'note', text: `the waiver of ${id} is no longer needed` })
        const document: Verification = {
          version: 1,
          startedAt: startedAt.toISOString(),
          durationSeconds: (Date.now() - startedAt.getTime()) / 1000,
          images: [...verifications],
          unusedWaivers: [...unused],
          unchecked: [...unchecked],
        }
        await writeDurably(join(place.folder, 'verification.json'), `${JSON.stringify(document, null, 2)}\n`)
        await writeDurably(join(place.folder, 'junit.xml'), renderJunit(verifications))
        if (image !== undefined && options.scenes === undefined)
          await addToReport(outFolder, verifications, unused)
        if (!options.json)
          terminal.out(`${join(place.folder, 'verification.json')}\n${join(place.folder, 'junit.xml')}\n`)
        if (verifications.some(({ status }) => status === 'failed')) isFine = false
      }
      return isFine ? exitCodes.ok : exitCodes.verificationFailed
    })
  } finally {
    reporter.close()
  }
}

/** Adds the verdicts to the report of the last build, if that is about the same files. */
async function addToReport(
  outFolder: string,
  verifications: readonly ImageVerification[],
  unused: readonly string[],
): Promise<void> {
  const report = await readReport(outFolder)
  const isSame = verifications.every(({ sha256 }) => report?.images.some((image) => image.sha256 === sha256))
  if (report === undefined || !isSame) return
  const text = `${JSON.stringify({ ...report, verifications, unusedWaivers: unused }, null, 2)}\n`
  await writeDurably(outFolderAt(outFolder).report, text)
}

function parseScenes(text: string): readonly SceneName[] {
  if (text === 'none') return []
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !(name in sceneSpecs))
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`${unknown} is none of ${Object.keys(sceneSpecs).join(', ')}, none.`)
  }
  return names as SceneName[]
}

/** Runs the real installer with a preseed of one's own, and tells how it ended. */

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { expect } from 'vitest'
import { loadPipeline } from '../../src/config/load.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { PipelineError } from '../../src/errors.ts'
import { findMarked } from '../../src/host/process.ts'
import { createScratchFolder } from '../../src/host/scratch-folder.ts'
import { trustedKeys } from '../../src/installers/debian-installer/debian-installer.ts'
import { renderImagePreseed } from '../../src/installers/debian-installer/image-preseed.ts'
import { findNetboot, type InstallerMedium } from '../../src/installers/debian-installer/netboot.ts'
import type { InstallerPhase } from '../../src/installers/debian-installer/phases.ts'
import {
  type InstallerHost,
  installerKernelArguments,
} from '../../src/installers/debian-installer/preseed.ts'
import { installerLogs, runInstaller } from '../../src/installers/debian-installer/run.ts'
import { readTools } from '../../src/make/preflight.ts'
import { chooseAccelerator } from '../../src/qemu/accelerator.ts'
import { tinyPipeline } from '../e2e/program.ts'

/** What was downloaded stays here between runs. */
const cacheFolder = fileURLToPath(new URL('../../out/cache/netboot', import.meta.url))

/** The small appliance, as it is. */
export async function tinyImage(): Promise<ResolvedImage> {
  const { images } = await loadPipeline(tinyPipeline, [])
  return images[0] as ResolvedImage
}

/** Netboot files, or why there are none. */
export async function tryNetboot(image: ResolvedImage): Promise<InstallerMedium | string> {
  try {
    const signal = AbortSignal.timeout(1_200_000)
    return await findNetboot({ image, cacheFolder, onProgress: () => undefined, signal })
  } catch (error) {
    if (error instanceof PipelineError) return error.message
    throw error
  }
}

/** Version of a kernel image, as `uname -r` says it: the boot protocol has its address at 0x20e. */
export async function kernelOf({ kernel }: InstallerMedium): Promise<string> {
  const image = await readFile(kernel)
  const start = image.readUInt16LE(0x20e) + 0x200
  return image.toString('latin1', start, image.indexOf(0, start)).split(' ')[0] ?? ''
}

/** The preseed of an image as the installer is served it, or what is made of it. */
export function preseedOf(
  image: ResolvedImage,
  change: (text: string) => string = (text) => text,
): (host: InstallerHost) => string {
  return (host) => change(renderImagePreseed(image, host))
}

/** Holds a run against the failure that was provoked. */
export function expectHalt(run: LiveRun, code: string, lastPhase: InstallerPhase): void {
  const shown = `${run.error.message}\n${run.syslog.split('\n').slice(-30).join('\n')}`
  expect(run.error.code, shown).toBe(code)
  expect(run.phases.at(-1), shown).toBe(lastPhase)
  expect(run.error.details.lastLines, shown).not.toEqual([])
  expect(run.left, 'left running').toBe(0)
}

export interface LiveRun {
  readonly error: PipelineError
  readonly phases: readonly InstallerPhase[]
  readonly syslog: string
  /** Processes of the run that were still there. */
  readonly left: number
}

export interface LiveRequest {
  readonly image: ResolvedImage
  readonly medium: InstallerMedium
  /** Without it there is none to be fetched. */
  readonly preseed?: (host: InstallerHost) => string
  readonly limitSeconds: number
  readonly onPhase?: (phase: InstallerPhase) => void
}

/** Runs the installer until it fails; it is given up when it does not. */
export async function runUntilFailure({
  image,
  medium,
  preseed,
  limitSeconds,
  onPhase,
}: LiveRequest): Promise<LiveRun> {
  const folder = await mkdtemp(join(tmpdir(), 'systemvm-installer-'))
  const runFolder = { id: `test-${process.pid}-${Date.now()}`, path: folder, outFolder: folder }
  const scratch = await createScratchFolder()
  const phases: InstallerPhase[] = []
  try {
    const acceleration = await chooseAccelerator({
      arch: image.arch,
      kernels: [medium.kernel],
      cacheDir: join(folder, 'cache'),
    })
    const { packer } = await readTools(image.arch)
    const disk = join(folder, 'disk.qcow2')
    await mkdir(folder, { recursive: true })
    await execa('qemu-img', ['create', '-q', '-f', 'qcow2', disk, `${image.disk.sizeMiB}M`])
    const error = await runInstaller(
      {
        variant: image.variant,
        name: image.name,
        machine: image.machine,
        acceleration,
        packer,
        medium,
        overlay: [await trustedKeys(image)],
        preseed,
        mirror: {
          mirror: image.mirror.debian,
          otherHosts: [],
          packages: {
            index: '',
            folder: join(folder, 'packages'),
            workFolder: join(folder, 'packages.tmp'),
            onFault: () => undefined,
          },
        },
        kernelArguments: (host) => installerKernelArguments(image, host),
        disk,
        runFolder,
        onPhase: (phase) => {
          phases.push(phase)
          onPhase?.(phase)
        },
        onProgress: () => undefined,
        signal: AbortSignal.timeout(limitSeconds * 1000),
      },
      scratch,
    ).then(
      () => new Error('the installer went through'),
      (cause: unknown) => cause,
    )
    if (!(error instanceof PipelineError)) throw error
    // A kernel that panics says nothing there.
    const syslog = await readFile(installerLogs(folder).syslog, 'utf8').catch(() => '')
    const left = (await findMarked(runFolder.id)).length
    return { error, phases, syslog, left }
  } finally {
    await scratch.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

/** `doctor`: whether this host can build, and what to do if it can't. */

import type { Command } from 'commander'
import { diagnose } from '../doctor/doctor.ts'
import { exitCodes } from '../errors.ts'
import { isForeign } from '../host/foreign.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { neededBytes } from '../plan/room.ts'
import { findKernels } from '../qemu/kept-kernels.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { renderDoctor } from './views/doctor.ts'

interface DoctorOptions extends PipelineOptions {
  readonly json?: boolean
}

export function doctorCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(command)
    .option('--json', 'print the checks as JSON')
    .action((options: DoctorOptions) => choose(() => doctor(options, terminal)))
}

async function doctor(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const isChosen = options.variant.length > 0
  const { images: all, outFolder } = await choosePipeline({ ...options, all: !isChosen })
  // Nobody is required to build for foreign architectures.
  const own = isChosen ? all : all.filter(({ arch }) => !isForeign(arch))
  const images = own.length === 0 ? all : own
  const { cache } = outFolderAt(outFolder)
  const memories = images.map(({ machine }) => machine.memoryMiB)
  const report = await diagnose({
    images,
    otherArchs: [...new Set(all.filter((image) => !images.includes(image)).map(({ arch }) => arch))],
    outDir: outFolder,
    neededBytes,
    neededMemoryMiB: Math.max(...memories) + 512,
    kernels: await findKernels(cache.kernels),
    cacheDir: cache.path,
  })
  const { colors } = terminal
  terminal.out(options.json ? `${JSON.stringify(report, null, 2)}\n` : renderDoctor(report, colors))
  return report.isFit ? exitCodes.ok : exitCodes.hostNotFit
}

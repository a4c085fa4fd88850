/** `doctor`: whether this host can build, and what to do where it can't. */

import { join } from 'node:path'
import type { Command } from 'commander'
import { diagnose, renderDoctor } from '../doctor/doctor.ts'
import { exitCodes } from '../errors.ts'
import { probeKernel } from '../make/accelerate.ts'
import { neededBytes } from '../plan/room.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface DoctorOptions extends PipelineOptions {
  readonly json?: boolean
}

export function doctorCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(command)
    .option('--json', 'print the checks as JSON')
    .action((options: DoctorOptions) => choose(() => doctor(options, terminal)))
}

async function doctor(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const { images, outFolder } = await choosePipeline({ ...options, all: options.variant.length === 0 })
  const memories = images.map(({ machine }) => machine.memoryMiB)
  const report = await diagnose({
    images,
    outDir: outFolder,
    neededBytes,
    neededMemoryMiB: Math.max(...memories) + 512,
    kernels: [join(outFolder, 'cache', probeKernel)],
    cacheDir: join(outFolder, 'cache'),
  })
  const { colors } = terminal
  terminal.out(
    options.json
      ? `${JSON.stringify(report, null, 2)}\n`
      : renderDoctor(report, { color: colors.isColorSupported }),
  )
  return report.isFit ? exitCodes.ok : exitCodes.hostNotFit
}

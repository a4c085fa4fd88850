/** `export`: files for hypervisors from any disk image, with no pipeline behind it. */

import { setMaxListeners } from 'node:events'
import { basename, extname, relative, resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { configurationError } from '../config/faults.ts'
import { type Target, targets } from '../config/image.ts'
import { issuesToFaults } from '../config/issues.ts'
import { mergeOver, type Overrides, parseAssignment } from '../config/overrides.ts'
import { pipelineFields } from '../config/pipeline.ts'
import { exitCodes } from '../errors.ts'
import { exportDisk } from '../export/export-disk.ts'
import { createTerminalReporter } from '../report/terminal.ts'
import { type Choose, collect } from './options.ts'
import type { Terminal } from './terminal.ts'

interface ExportOptions {
  readonly from: string
  readonly targets: readonly Target[]
  readonly name?: string
  readonly date: string
  readonly set: readonly string[]
  readonly out: string
}

/** What of a pipeline has a say in an export. */
const exportFields = z.strictObject({
  formats: pipelineFields.shape.formats,
  date: pipelineFields.shape.date,
})

export function exportCommand(program: Command, terminal: Terminal, choose: Choose): void {
  program
    .command('export')
    .description('make files for hypervisors from any disk image')
    .requiredOption('--from <disk>', 'disk image that qemu-img reads')
    .option('--targets <list>', `some of ${targets.join(',')}`, parseTargets, targets)
    .option('--name <name>', "name of the files; without it, the disk's")
    .option('--date <date>', 'date in the files, the same for the same bytes', '2000-01-01')
    .option(
      '--set <path=value>',
      'a format option, e.g. --set formats.vmware.nic=vmxnet3; may be repeated',
      collect,
      [],
    )
    .option('--out <folder>', 'where the files go', '.')
    .action((options: ExportOptions) => choose(() => run(options, terminal)))
}

async function run(options: ExportOptions, terminal: Terminal): Promise<number> {
  const overrides: Overrides[] = options.set.map(parseAssignment)
  const written = overrides.reduce<unknown>((value, over) => mergeOver(value, over.values), {
    date: options.date,
  })
  const parsed = exportFields.safeParse(written)
  if (!parsed.success) throw configurationError(issuesToFaults(parsed.error.issues, written, [], overrides))
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)
  const stop = () => stopping.abort(new Error('interrupted'))
  process.once('SIGINT', stop)
  const folder = resolvePath(options.out)
  const reporter = createTerminalReporter({
    write: terminal.error,
    outFolder: relative(process.cwd(), folder) || '.',
    isLive: terminal.isLive,
    columns: terminal.columns(),
    colors: terminal.colors,
    nowMs: () => performance.now(),
  })
  try {
    const files = await exportDisk({
      disk: resolvePath(options.from),
      fileName: options.name ?? basename(options.from, extname(options.from)),
      targets: options.targets,
      formats: parsed.data.formats,
      sourceDateEpoch: Date.parse(`${parsed.data.date}T00:00:00Z`) / 1000,
      folder,
      emit: reporter.emit,
      signal: stopping.signal,
    })
    for (const file of files) terminal.out(`${file}\n`)
    return exitCodes.ok
  } catch (error) {
    if (stopping.signal.aborted) return exitCodes.interrupted
    throw error
  } finally {
    reporter.close()
    process.off('SIGINT', stop)
  }
}

function parseTargets(text: string): readonly Target[] {
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !targets.some((target) => target === name))
  if (unknown !== undefined) throw new InvalidArgumentError(`${unknown} is none of ${targets.join(', ')}.`)
  return [...new Set(names)] as Target[]
}

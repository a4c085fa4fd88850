/** `export`: turns any disk image into files for hypervisors, without a pipeline. */

import { basename, extname, resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { configurationError, type Fault } from '../config/faults.ts'
import { issuesToFaults } from '../config/issues.ts'
import { mergeOver, type Overrides, parseAssignment, textOf } from '../config/overrides.ts'
import { pipelineFields } from '../config/pipeline.ts'
import { expandFormats } from '../config/presets.ts'
import { targetFaults } from '../config/target-rules.ts'
import { parseTyped } from '../config/typed-texts.ts'
import { validFormats } from '../config/valid-fields.ts'
import { requireFit } from '../doctor/host-checks.ts'
import { exitCodes } from '../errors.ts'
import { exportDisk } from '../export/export-disk.ts'
import { type TargetName, targetNames, targets } from '../targets/registry.ts'
import { untilInterrupted } from './interrupt.ts'
import { collect, parseTargets } from './options.ts'
import { addUiOption, reportTo, type Terminal, type UiOptions } from './terminal.ts'
import type { Choose } from './verb.ts'
import { addWaitOption, tellWaiting, type WaitOptions } from './wait.ts'

interface ExportOptions extends WaitOptions, UiOptions {
  readonly from: string
  readonly withBackingFiles?: boolean
  readonly raw?: boolean
  readonly targets: readonly TargetName[]
  readonly name?: string
  readonly date: string
  readonly set: readonly string[]
  readonly out: string
}

/** The parts of a pipeline that affect an export, and the name of the files. */
const exportFields = z.strictObject({
  name: z
    .string()
    // Checksum lists have one name per line, folder listings omit names with a leading dot, and XML cannot hold
    // noncharacters.
    .regex(
      /^(?!\.)[^/\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{NChar}]+$/u,
      'must be a file name: not empty, without a leading dot, and without slashes, control characters or characters that XML does not allow',
    )
    // A name in an OVA's tar can have at most 100 bytes, including the extension.
    .refine((name) => Buffer.byteLength(name) <= 80, 'must be at most 80 bytes'),
  targets: pipelineFields.shape.targets,
  formats: pipelineFields.shape.formats,
  date: pipelineFields.shape.date,
})

/** The targets of CloudStack's hypervisors. All others are made only on request. */
const registeredTargets = targetNames.filter((name) => targets[name].hypervisors !== undefined)

export function exportCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .requiredOption('--from <disk>', 'disk image, or an archive of one')
    .option('--raw', 'accept any file as a raw disk, even without partitions or a file system')
    .option('--with-backing-files', 'also read the local files that a qcow2 is based on')
    .option('--targets <list>', `some of ${targetNames.join(',')}`, parseTargets, registeredTargets)
    .option('--name <name>', "name of the files; by default the disk's")
    .option('--date <date>', 'date in the files; the same date gives the same bytes', '2000-01-01')
    .option(
      '--set <path=value>',
      'a format option, e.g. --set formats.vmware.nic=vmxnet3; may be repeated',
      collect,
      [],
    )
    .option('--out <folder>', 'where the files go', '.')
  addWaitOption(addUiOption(command), 'export').action((options: ExportOptions) =>
    choose(() => run(options, terminal)),
  )
}

async function run(options: ExportOptions, terminal: Terminal): Promise<number> {
  const { name, date, targets, formats } = decide(options)
  await requireFit('export', { images: [{ targets, formats }] })
  const folder = resolvePath(options.out)
  const reporter = reportTo(terminal, folder, options)
  try {
    const files = await untilInterrupted((signal) =>
      exportDisk({
        disk: resolvePath(options.from),
        backing: options.withBackingFiles ? 'local files' : 'none',
        takesAnyBytes: options.raw,
        fileName: name,
        targets,
        formats,
        sourceDateEpoch: Date.parse(`${date}T00:00:00Z`) / 1000,
        folder,
        waiting: options.wait ? tellWaiting('export', folder, signal, terminal) : undefined,
        emit: reporter.emit,
        signal,
      }),
    )
    for (const file of files) terminal.out(`${file}\n`)
    return exitCodes.ok
  } finally {
    reporter.close()
  }
}

/** @throws PipelineError `configuration` with every fault in the options */
function decide({ from, name, date, set, targets: chosen }: ExportOptions): z.output<typeof exportFields> {
  const overrides: readonly Overrides[] = [
    name === undefined
      ? { source: '--from; give another with --name', values: { name: stemOf(from) } }
      : { source: '--name', values: { name } },
    { source: '--date', values: { date } },
    { source: '--targets', values: { targets: chosen } },
    ...set.map(parseAssignment),
  ]
  const written = overrides.reduce<Readonly<Record<string, unknown>>>(
    (value, over) => mergeOver(value, withFormats(over.values)) as Readonly<Record<string, unknown>>,
    {},
  )
  const { parsed, value } = parseTyped(exportFields, written, (path) => textOf(overrides, path))
  const faults = [
    ...(parsed.success ? [] : issuesToFaults(parsed.error.issues, value, [], overrides)),
    ...faultsBetween(value, overrides),
  ]
  if (!parsed.success || faults.length > 0) throw configurationError(faults)
  return parsed.data
}

/** Checks the rules of the targets wherever the values they concern are valid. The content of the disk is unknown. */
function faultsBetween(written: unknown, overrides: readonly Overrides[]): readonly Fault[] {
  const { name, targets, formats, date } = written as Readonly<Record<string, unknown>>
  const { shape } = exportFields
  const chosen = shape.targets.safeParse(targets)
  if (!chosen.success) return []
  const fileName = shape.name.safeParse(name)
  const day = shape.date.safeParse(date)
  return targetFaults(
    chosen.data,
    validFormats(formats),
    {
      ...(fileName.success ? { fileName: fileName.data } : {}),
      ...(day.success
        ? { epoch: { seconds: Date.parse(`${day.data}T00:00:00Z`) / 1000, source: 'date' } }
        : {}),
    },
    overrides,
  )
}

/** The name of a disk without its extension and without that of an archive. */
function stemOf(path: string): string {
  const name = basename(path).replace(/\.(bz2|gz|xz|zst|zip)$/i, '')
  return basename(name, extname(name))
}

const withFormats = ({ formats, ...values }: Overrides['values']) =>
  formats === undefined ? values : { ...values, formats: expandFormats(formats) }

/** `diff`: what a stage changed, or how any two disks differ. */

import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { isEqual } from '../diff/compare.ts'
import { type ExpectedDifference, setAsideExpected } from '../diff/installers.ts'
import { reportDifference } from '../diff/report.ts'
import { findSources, installerOf } from '../diff/sources.ts'
import { withDisks } from '../diff/with-disks.ts'
import { exitCodes } from '../errors.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { planImage } from '../plan/plan.ts'
import { formatTable } from '../report/format.ts'
import { openStore } from '../store/store.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { renderDiff } from './views/diff.ts'
import { reportToJson } from './views/diff-json.ts'

interface DiffOptions extends PipelineOptions {
  readonly path: readonly string[]
  readonly full?: boolean
  readonly withBackingFiles?: boolean
  readonly json?: boolean
  readonly exitCode?: boolean
}

/** Exit code of `--exit-code` if the disks differ, as in git. */
const different = 1

export function diffCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument(
      '<disk>',
      "a stage, a layer's key or its first characters, or a disk image; base:INSTALLER is layer 0 made by that installer",
    )
    .argument('[other]', 'what to compare it with; by default, the layer below, if the disk is a stage')
  addPipelineOptions(command)
    .option('--path <path>', 'show only this path, with all contents; may be repeated', collectPath, [])
    .option('--full', 'show everything, without shortening it')
    .option('--with-backing-files', 'also read the local files that a qcow2 is based on')
    .option('--json', 'print the difference as JSON')
    .option('--exit-code', 'exit with 1 if there is a difference')
    .action((disk: string, other: string | undefined, options: DiffOptions) =>
      choose(() => diff(other === undefined ? [disk] : [disk, other], options, terminal)),
    )
}

async function diff(words: readonly string[], options: DiffOptions, terminal: Terminal): Promise<number> {
  const store = openStore(outFolderAt(resolvePath(options.out)).store)
  const sources = await findSources(words, {
    store,
    backing: options.withBackingFiles ? 'local files' : 'none',
    plan: async (installer = options.installer) => {
      const chosen = installer === undefined ? options : { ...options, installer }
      const { images } = await choosePipeline(chosen)
      return planImage(images[0] as (typeof images)[number], store)
    },
  })
  const [before, after] = sources
  const title = `${before.name} → ${after.name}`
  if (!options.json) terminal.error(`comparing ${title}\n`)
  return untilInterrupted((signal) =>
    withDisks(sources, signal, async (disks) => {
      const whole = await reportDifference(...disks, options.path)
      // If two installers made the same layer, only unexpected differences are shown.
      const areInstallers = words.length === 2 && words.every((word) => installerOf(word) !== undefined)
      const { report, expected } = areInstallers
        ? await setAsideExpected(whole, disks)
        : { report: whole, expected: [] }
      const { colors } = terminal
      terminal.out(
        options.json
          ? `${JSON.stringify({ ...reportToJson(report, sources), ...(areInstallers ? { expected } : {}) }, null, 2)}\n`
          : renderDiff(report, { colors, isFull: options.full ?? false }),
      )
      if (!options.json && areInstallers) terminal.out(`\n${renderExpected(expected, colors)}`)
      return options.exitCode && !isEqual(report.difference) ? different : exitCodes.ok
    }),
  )
}

function renderExpected(expected: readonly ExpectedDifference[], colors: Terminal['colors']): string {
  const rows = expected.map(({ name, count, why }) => [name, `${count}`, why])
  const lines = rows.length === 0 ? 'none' : formatTable(rows, [false, true])
  return `${colors.bold('Expected between two installers, and left out above')}\n${lines.replaceAll(/^/gm, '  ')}\n`
}

function collectPath(path: string, before: readonly string[]): readonly string[] {
  if (!path.startsWith('/')) throw new InvalidArgumentError('It must begin with a slash.')
  return [...before, path === '/' ? path : path.replace(/\/+$/, '')]
}

/** `clean`: removes what builds left in `out/`. */

import { rm, stat } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import { isOutput, outFolderAt, requireWritable } from '../host/out-folder.ts'
import { clearLeftovers } from '../make/leftovers.ts'
import { formerReleases } from '../release/release-folder.ts'
import { openStore } from '../store/store.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { addWaitOption, takeFolder, type WaitOptions } from './wait.ts'

interface CleanOptions extends WaitOptions {
  readonly out: string
  readonly all?: boolean
  readonly dryRun?: boolean
}

export function cleanCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addWaitOption(command)
    .option('--out <folder>', 'folder to clean', 'out')
    .option('--all', 'also remove images, releases, verdicts and downloads')
    .option('--dry-run', 'only show what would be removed')
    .action((options: CleanOptions) => choose(() => clean(options, terminal)))
}

async function clean(options: CleanOptions, terminal: Terminal): Promise<number> {
  const outFolder = resolvePath(options.out)
  const out = outFolderAt(outFolder)
  const costly = [
    out.images,
    out.repository,
    out.inputs,
    out.verdicts,
    out.release,
    ...(await formerReleases(out.release)),
    out.render,
    out.cache.path,
  ]
  const paths = [out.store, out.runs, out.report, out.reportPage, ...(options.all ? costly : [])]
  const present: string[] = []
  for (const path of paths) {
    if (await stat(path).catch(() => undefined)) present.push(path)
  }
  if (present.length === 0) {
    terminal.error(`nothing to remove in ${outFolder}\n`)
    return exitCodes.ok
  }
  if (options.dryRun) {
    for (const path of present) terminal.out(`${path}\n`)
    return exitCodes.ok
  }
  if (!(await isOutput(outFolder))) throw notOurs(outFolder)
  await requireWritable(outFolder)
  const lock = await takeFolder(outFolder, 'clean', options, terminal)
  try {
    // Only the run folder of a killed run says what it left elsewhere.
    await clearLeftovers(outFolder, openStore(out.store))
    for (const path of present) {
      await rm(path, { recursive: true, force: true })
      terminal.out(`${path}\n`)
    }
  } finally {
    await lock.release()
  }
  return exitCodes.ok
}

function notOurs(outFolder: string): PipelineError {
  return new PipelineError({
    code: 'not-output',
    message: `${outFolder} is not the output folder of a build: nothing was removed`,
    hint: 'give --out the output folder of a build.',
    exitCode: exitCodes.badInput,
  })
}

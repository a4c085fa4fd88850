/** `clean`: removes what builds have left in `out/`. */

import { rm, stat } from 'node:fs/promises'
import { join, resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { exitCodes } from '../errors.ts'
import { takeLock } from '../host/lock.ts'
import type { Choose } from './options.ts'
import type { Terminal } from './terminal.ts'

interface CleanOptions {
  readonly out: string
  readonly all?: boolean
  readonly dryRun?: boolean
}

export function cleanCommand(program: Command, terminal: Terminal, choose: Choose): void {
  program
    .command('clean')
    .description('remove layers, runs and reports; images and downloaded packages stay')
    .option('--out <folder>', 'folder to clean', 'out')
    .option('--all', 'remove images and downloaded packages as well')
    .option('--dry-run', 'only say what would be removed')
    .action((options: CleanOptions) => choose(() => clean(options, terminal)))
}

async function clean(options: CleanOptions, terminal: Terminal): Promise<number> {
  const outFolder = resolvePath(options.out)
  const names = ['store', 'runs', 'report.json', ...(options.all ? ['images', 'release', 'cache'] : [])]
  const present: string[] = []
  for (const name of names) {
    if (await stat(join(outFolder, name)).catch(() => undefined)) present.push(name)
  }
  if (present.length === 0) {
    terminal.error(`nothing to remove in ${outFolder}\n`)
    return exitCodes.ok
  }
  if (options.dryRun) {
    for (const name of present) terminal.out(`${join(outFolder, name)}\n`)
    return exitCodes.ok
  }
  const lock = await takeLock(outFolder, 'clean')
  try {
    for (const name of present) {
      await rm(join(outFolder, name), { recursive: true, force: true })
      terminal.out(`${join(outFolder, name)}\n`)
    }
  } finally {
    await lock.release()
  }
  return exitCodes.ok
}

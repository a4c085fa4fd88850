/** `setup`: installs the Debian or Ubuntu packages that a build needs. */

import type { Command } from 'commander'
import { setUpHost } from '../doctor/host-packages.ts'
import { exitCodes } from '../errors.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface SetupOptions {
  readonly yes?: boolean
  readonly tests: boolean
}

export function setupCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .option('--yes', 'install them; without it, only list what is missing')
    .option('--no-tests', 'leave out what only the tests need')
    .action((options: SetupOptions) => choose(() => setup(options, terminal)))
}

async function setup(options: SetupOptions, terminal: Terminal): Promise<number> {
  await setUpHost(
    { forTests: options.tests },
    { yes: options.yes ?? false, onOutput: (line) => terminal.error(`${line}\n`) },
  )
  return exitCodes.ok
}

/** `setup`: installs the Debian or Ubuntu packages that a build needs. */

import { type Command, Option } from 'commander'
import { type Arch, archNames, hostArch } from '../arch.ts'
import { setUpHost } from '../doctor/host-packages.ts'
import { exitCodes } from '../errors.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface SetupOptions {
  readonly yes?: boolean
  readonly tests: boolean
  readonly arch: Arch
}

export function setupCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .option('--yes', 'install them; without it, only list what is missing')
    .option('--no-tests', 'leave out packages that only tests need')
    .addOption(
      new Option('--arch <name>', "architecture of the images to build, instead of the host's own")
        .choices([...archNames])
        .default(hostArch),
    )
    .action((options: SetupOptions) => choose(() => setup(options, terminal)))
}

async function setup(options: SetupOptions, terminal: Terminal): Promise<number> {
  await setUpHost(
    { forTests: options.tests, arch: options.arch },
    { yes: options.yes ?? false, onOutput: (line) => terminal.error(`${line}\n`) },
  )
  return exitCodes.ok
}

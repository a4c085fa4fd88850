/** The command line: parses, calls a verb, and turns its outcome into an exit code. The only place that ends the program. */

import { Command, CommanderError } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import { buildCommand } from './build.ts'
import { cleanCommand } from './clean.ts'
import { completionCommand } from './completion.ts'
import { diffCommand } from './diff.ts'
import { doctorCommand } from './doctor.ts'
import { exportCommand } from './export.ts'
import { lockCommand } from './lock.ts'
import { matrixCommand } from './matrix.ts'
import type { Choose } from './options.ts'
import { planCommand } from './plan.ts'
import { releaseCommand } from './release.ts'
import { renderCommand } from './render.ts'
import { runCommand } from './run.ts'
import { setupCommand } from './setup.ts'
import { shellCommand } from './shell.ts'
import { storeCommand } from './store.ts'
import { summaryCommand } from './summary.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { verifyCommand } from './verify.ts'

/** Runs the program and returns its exit code. */
export async function main(commandArguments: readonly string[]): Promise<number> {
  const terminal = createTerminal(process)
  let action: (() => Promise<number>) | undefined
  const program = new Command('systemvm-image')
    .description('Builds the Apache CloudStack system VM template from pipeline.ts.')
    .helpCommand(false)
    .showHelpAfterError('(--help says what there is)')
    .exitOverride()
    .configureOutput({ writeErr: terminal.error, writeOut: terminal.out })
    .addHelpText('after', `\nExit codes: ${describeExitCodes()}`)
  const choose: Choose = (chosen) => {
    action = chosen
  }
  for (const define of [
    planCommand,
    renderCommand,
    buildCommand,
    doctorCommand,
    setupCommand,
    exportCommand,
    shellCommand,
    diffCommand,
    storeCommand,
    cleanCommand,
    verifyCommand,
    runCommand,
    matrixCommand,
    lockCommand,
    releaseCommand,
    summaryCommand,
    completionCommand,
  ]) {
    define(program, terminal, choose)
  }
  for (const command of [...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.copyInheritedSettings(program)
  }
  try {
    program.parse(commandArguments, { from: 'user' })
    return action === undefined ? exitCodes.ok : await action()
  } catch (error) {
    return explain(error, terminal, commandArguments.includes('--json'))
  }
}

function describeExitCodes(): string {
  return '0 done, 1 build failed, 2 bad configuration or usage, 3 host not fit, 4 verification failed, 130 interrupted'
}

function explain(error: unknown, terminal: Terminal, isJson: boolean): number {
  // Commander has printed its own message already; asking for help is no mistake.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.badInput
  const { colors } = terminal
  if (error instanceof PipelineError) {
    const { code, message, hint, details } = error
    if (isJson) terminal.out(`${JSON.stringify({ kind: 'error', code, message, hint, details })}\n`)
    terminal.error(`${colors.red('✖')} ${error.message}\n`)
    if (error.hint !== undefined) terminal.error(`  ${error.hint}\n`)
    const { lastLines } = error.details
    if (Array.isArray(lastLines)) for (const line of lastLines) terminal.error(colors.dim(`  │ ${line}\n`))
    return error.exitCode
  }
  terminal.error(
    `${colors.red('✖')} this is a bug in systemvm-image:\n${(error as Error)?.stack ?? String(error)}\n`,
  )
  return exitCodes.buildFailed
}

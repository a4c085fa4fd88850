/** The command line: parses it, calls a verb, and turns the outcome into an exit code. Nothing else ends the program. */

import { Command, CommanderError } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import { redactAll } from '../redact.ts'
import { programVersion } from '../version.ts'
import { explainSystemError } from './system-error.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { completionCallback } from './verb.ts'
import { verbs } from './verbs.ts'
import { renderError } from './views/failure.ts'

export async function main(commandArguments: readonly string[]): Promise<number> {
  const terminal = createTerminal(process)
  try {
    const action = await parseCommandLine(commandArguments, terminal)
    return action === undefined ? exitCodes.ok : await action()
  } catch (error) {
    return explain(error, terminal, commandArguments.includes('--json'))
  }
}

/**
 * The action that a command line asks for, not yet run; undefined if it only asks for help.
 * @throws CommanderError if the command line is wrong; the message is already printed
 */
export async function parseCommandLine(
  commandArguments: readonly string[],
  terminal: Terminal,
): Promise<(() => Promise<number>) | undefined> {
  let action: (() => Promise<number>) | undefined
  const program = await createProgram(commandArguments, terminal, (chosen) => {
    action = chosen
  })
  program.parse(commandArguments, { from: 'user' })
  return action
}

/** Every verb by name, and the requested one with its arguments and options. */
async function createProgram(
  commandArguments: readonly string[],
  terminal: Terminal,
  choose: Choose,
): Promise<Command> {
  const program = new Command('systemvm-image')
    .description('Builds the Apache CloudStack system VM template from pipeline.ts.')
    .version(programVersion(), '--version', 'print the version')
    .helpCommand(false)
    .showHelpAfterError('(--help lists verbs and options)')
    .exitOverride()
    .configureOutput({ writeErr: terminal.error, writeOut: terminal.out })
    .addHelpText('after', `\nExit codes: ${describeExitCodes()}`)
  const asked = commandArguments.find((word) => !word.startsWith('-'))
  const isCompletion = asked === completionCallback
  for (const { name, summary, load } of verbs) {
    const command = program.command(name).description(summary)
    if (isCompletion ? commandArguments.includes(name) : name === asked)
      (await load())(command, terminal, choose)
  }
  if (!isCompletion) program.hook('preAction', (_program, command) => refuseEmpty(command))
  if (isCompletion) (await import('./completion.ts')).completionCallbackCommand(program, terminal, choose)
  return program
}

/** In CI, `--option "$VARIABLE"` is empty if the variable is unset; as a path, that would mean the current folder. */
function refuseEmpty(command: Command): void {
  const isEmpty = (value: unknown) => [value].flat().includes('')
  const option = command.options.find((one) => isEmpty(command.getOptionValue(one.attributeName())))
  const argument = command.registeredArguments.find((_argument, index) =>
    isEmpty(command.processedArgs[index]),
  )
  const name = option?.flags ?? (argument === undefined ? undefined : `<${argument.name()}>`)
  if (name !== undefined) command.error(`error: ${name} is empty: give it a value, or leave it out`)
}

function describeExitCodes(): string {
  return '0 done, 1 build failed, 2 bad configuration or usage, 3 host not fit, 4 verification failed, 130 interrupted'
}

function explain(thrown: unknown, terminal: Terminal, isJson: boolean): number {
  const error = explainSystemError(thrown) ?? thrown
  // Commander has already printed its message; asking for help is not an error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.badInput
  if (error instanceof PipelineError && isJson) {
    const { code, message, hint, details } = error
    terminal.out(`${JSON.stringify(redactAll({ kind: 'error', code, message, hint, details }))}\n`)
  }
  terminal.error(renderError(error, terminal.colors))
  return error instanceof PipelineError ? error.exitCode : exitCodes.buildFailed
}

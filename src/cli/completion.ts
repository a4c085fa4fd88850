/** `completion`: completes verbs, options, stage names, and variant names in a shell. */

import { Argument, type Command, type Option } from 'commander'
import { defaultPipeline, loadPipeline } from '../config/load.ts'
import { exitCodes } from '../errors.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'
import { completionCallback } from './verb.ts'

const shells = ['bash', 'zsh', 'fish'] as const

export function completionCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .addArgument(new Argument('<shell>', 'shell to print the script for').choices(shells))
    .action((shell: (typeof shells)[number]) =>
      choose(async () => {
        terminal.out(scripts[shell])
        return exitCodes.ok
      }),
    )
}

/** The verb that the completion scripts call. It inspects all other verbs of `program`. */
export function completionCallbackCommand(program: Command, terminal: Terminal, choose: Choose): void {
  program
    .command(completionCallback, { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action((words: readonly string[]) =>
      choose(async () => {
        for (const candidate of await complete(program, words)) terminal.out(`${candidate}\n`)
        return exitCodes.ok
      }),
    )
}

const names = ['systemvm-image', 'systemvm-image.js', './bin/systemvm-image.js', 'bin/systemvm-image.js']

const bash = `_systemvm_image() {
  local candidates
  candidates=$("\${COMP_WORDS[0]}" ${completionCallback} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _systemvm_image ${names.join(' ')}
`

const scripts: Readonly<Record<(typeof shells)[number], string>> = {
  bash,
  zsh: `_systemvm_image() {
  local -a candidates
  candidates=(\${(f)"$("\${words[1]}" ${completionCallback} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  compadd -a candidates || _files
}
compdef _systemvm_image ${names.join(' ')}
`,
  fish: names
    .map(
      (name) =>
        `complete -c ${name} -f -a '(set -l words (commandline -opc); $words[1] ${completionCallback} -- $words[2..] (commandline -ct) 2>/dev/null)'\n`,
    )
    .join(''),
}

/**
 * The candidates for the last word.
 * @param words all words after the program's name; the last is being typed
 */
export async function complete(program: Command, words: readonly string[]): Promise<readonly string[]> {
  const typed = words.at(-1) ?? ''
  let command = program
  for (const word of words.slice(0, -1)) {
    command = command.commands.find((candidate) => candidate.name() === word) ?? command
  }
  const before = words.at(-2) ?? ''
  const option = command.options.find(({ long }) => long === before)
  const candidates =
    option?.required === true
      ? await valuesOf(option, words)
      : typed.startsWith('-')
        ? command.options.flatMap(({ long }) => long ?? [])
        : [...namesOfCommands(command), ...(await argumentsOf(command, words))]
  return candidates.filter((candidate) => candidate.startsWith(typed))
}

function namesOfCommands({ commands }: Command): readonly string[] {
  return commands.map((command) => command.name()).filter((name) => !name.startsWith('_'))
}

async function valuesOf(option: Option, words: readonly string[]): Promise<readonly string[]> {
  if (option.argChoices !== undefined) return option.argChoices
  if (option.flags.includes('<stage>')) return namesOfStages(words)
  if (option.long === '--variant') return (await load(words)).map(({ variant }) => variant)
  return []
}

async function argumentsOf(command: Command, words: readonly string[]): Promise<readonly string[]> {
  const arguments_ = command.registeredArguments
  const choices = arguments_.flatMap(({ argChoices }) => argChoices ?? [])
  const takesStage = arguments_.some((argument) => ['stage', 'disk', 'other'].includes(argument.name()))
  return takesStage ? ['base', ...(await namesOfStages(words))] : choices
}

async function namesOfStages(words: readonly string[]): Promise<readonly string[]> {
  return [...new Set((await load(words)).flatMap(({ stages }) => stages.map(({ name }) => name)))]
}

/** The pipeline that the words name. Empty if it has faults: completion does not report them. */
async function load(words: readonly string[]) {
  const file = words[words.indexOf('--pipeline') + 1]
  const pipeline = words.includes('--pipeline') && file !== undefined ? file : defaultPipeline
  return loadPipeline(pipeline, []).then(
    ({ images }) => images,
    () => [],
  )
}

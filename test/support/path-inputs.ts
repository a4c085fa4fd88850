/** Every path that the program accepts, found in its own table of commands, so that a new option is tested like the others. */

import { writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { createTerminal } from '../../src/cli/terminal.ts'
import { verbs } from '../../src/cli/verbs.ts'
import { makeRawDisk } from './hostile-files.ts'
import { tinyPipeline } from './tiny-pipeline.ts'

/** What the placeholders in the help stand for. */
const placeholders: Readonly<Record<string, PathInput['expects'] | 'no path'>> = {
  ...{ file: 'text', page: 'text', release: 'text' },
  ...{ folder: 'folder', source: 'folder' },
  ...{ disk: 'disk', image: 'disk', other: 'disk' },
  ...{ name: 'no path', list: 'no path', 'path=value': 'no path', 'key=value': 'no path', key: 'no path' },
  ...{ version: 'no path', stage: 'no path', what: 'no path', date: 'no path', reference: 'no path' },
  ...{ command: 'no path', time: 'no path', size: 'no path', seconds: 'no path', role: 'no path' },
  ...{ MiB: 'no path', count: 'no path', pattern: 'no path', revision: 'no path', 'arch=label': 'no path' },
  ...{ place: 'folder', address: 'no path', region: 'no path', zone: 'no path' },
  // A path in an image.
  path: 'no path',
  ...{ tag: 'no path', days: 'no path', target: 'no path', workflow: 'no path', shell: 'no path' },
}

/** An option or an argument that takes a path. */
export interface PathInput {
  /** The verb and the option, or the verb and the argument's placeholder. */
  readonly name: string
  readonly expects: 'text' | 'folder' | 'disk'
  /** Whether it names something that the verb writes. */
  readonly isWritten: boolean
  /** Whether other verbs have the same option. */
  readonly isShared: boolean
  /** A command line that ends by itself. */
  readonly wordsFor: (file: string, samples: Samples) => readonly string[]
}

/** Valid inputs for the rest of a command line. */
export interface Samples {
  readonly out: string
  readonly disk: string
  readonly release: string
  readonly signers: string
}

export async function makeSamples(folder: string): Promise<Samples> {
  const samples = {
    out: join(folder, 'out'),
    disk: join(folder, 'sound.raw'),
    release: join(folder, 'release'),
    signers: join(folder, 'signers'),
  }
  makeRawDisk(samples.disk)
  await mkdir(samples.release)
  writeFileSync(join(samples.release, 'release.json'), '{}')
  writeFileSync(samples.signers, '')
  return samples
}

/** What a verb needs in order to reach its paths and to end by itself, depending on the input. */
const needs: Readonly<Record<string, (input: string, samples: Samples) => readonly string[]>> = {
  // Ends before it makes anything.
  build: () => ['--until', 'none'],
  export: (input, { disk }) => ['--targets', 'raw', ...(input === '--from' ? [] : ['--from', disk])],
  shell: () => ['base'],
  diff: (input, { disk }) => (input === '<disk>' ? [] : [disk, disk]),
  'store push': (input) => [registry, ...(input === '--sign' ? [] : ['--unsigned'])],
  'store pull': (input, { signers }) => [
    registry,
    ...(input === '--revoked' ? ['--signers', signers] : input === '--signers' ? [] : ['--unsigned']),
  ],
  clean: () => ['--dry-run'],
  verify: () => ['--target', 'kvm', '--scenes', 'none', '--accelerator', 'tcg'],
  run: (input, { disk }) => ['--accelerator', 'tcg', ...(input === '<image>' ? [] : [disk])],
  reproduce: (input, { release }) => (input === '<release>' ? [] : [release]),
  publish: (input, { out, release }) => [
    ...(input === '--to' ? [] : ['--to', out]),
    ...(input === '<folder>' ? [] : [release]),
  ],
  'release verify': (input, { release, signers }) => [
    ...(input === '<folder>' ? [] : [release]),
    ...(input === '--rebuilds' ? ['--rebuilders', signers] : []),
    ...(input === '--rebuilders' ? ['--rebuilds', release] : []),
    ...(input === '--revoked' ? ['--signers', signers] : []),
    ...(input === '--trusted-root' ? ['--attested-by', 'https://x'] : []),
  ],
}

const registry = '127.0.0.1:9/none/layers'

/** Options and arguments that name something to write. */
const written: readonly string[] = ['--out', '--to', '--folder', 'init <folder>']

/** @throws Error for a placeholder that is not listed as a path or as no path */
export async function findPathInputs(): Promise<readonly PathInput[]> {
  const program = new Command()
  for (const { name, load } of verbs)
    (await load())(program.command(name), createTerminal(process), () => undefined)
  const commands = withSubcommands(program, '')
  const flags = commands.flatMap(({ command }) => command.options.map((option) => option.flags))
  return commands.flatMap(({ name, command }) => {
    const has = (long: string) => command.options.some((option) => option.long === long)
    const before = (input: string, samples: Samples) => [
      ...name.split(' '),
      ...(has('--pipeline') ? ['--pipeline', tinyPipeline] : []),
      ...(has('--out') ? ['--out', samples.out] : []),
      ...(needs[name]?.(input, samples) ?? []),
    ]
    const options = command.options.flatMap((option): PathInput[] => {
      const { long, argChoices } = option
      const placeholder = /[<[](.+?)(?:\.\.\.)?[>\]]/.exec(option.flags)?.[1]
      if (placeholder === undefined || argChoices !== undefined) return []
      const expects = expectedFor(placeholder, `${name} ${option.flags}`)
      if (expects === 'no path' || long == null) return []
      return [
        {
          name: `${name} ${long}`,
          expects,
          isWritten: written.includes(long),
          isShared: flags.filter((one) => one === option.flags).length > 1,
          wordsFor: (file, samples) => [...before(long, samples), `${long}=${file}`],
        },
      ]
    })
    const paths = command.registeredArguments.flatMap((argument) => {
      if (argument.argChoices !== undefined) return []
      const expects = expectedFor(argument.name(), `${name} <${argument.name()}>`)
      return expects === 'no path' ? [] : [{ placeholder: `<${argument.name()}>`, expects }]
    })
    const [first] = paths
    if (first === undefined) return options
    const { placeholder, expects } = first
    const own: PathInput = {
      name: `${name} ${placeholder}`,
      expects,
      isWritten: written.includes(`${name} ${placeholder}`),
      isShared: false,
      wordsFor: (file, samples) => [...before(placeholder, samples), '--', ...paths.map(() => file)],
    }
    return [...options, own]
  })
}

// --- internal ---

interface NamedCommand {
  readonly name: string
  readonly command: Command
}

function withSubcommands({ commands }: Command, prefix: string): readonly NamedCommand[] {
  return commands.flatMap((command) => {
    const name = `${prefix}${command.name()}`
    return [{ name, command }, ...withSubcommands(command, `${name} `)]
  })
}

function expectedFor(placeholder: string, where: string): PathInput['expects'] | 'no path' {
  const expects = placeholders[placeholder]
  if (expects === undefined) throw new Error(`say in path-inputs.ts whether ${where} takes a path`)
  return expects
}

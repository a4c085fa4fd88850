/** What the commands of scripts need of the machine that runs them. */

import { basename } from 'node:path'
import { readShell, type ShellCommand, unknown } from './shell.ts'

export const needKinds = [
  'program',
  'python module',
  'unit',
  'kernel module',
  'iptables extension',
  'path',
] as const
export type NeedKind = (typeof needKinds)[number]

export interface Need {
  readonly kind: NeedKind
  readonly name: string
  /** Where it is said, by the tree's paths. */
  readonly by: ReadonlySet<string>
  /** Of a unit: what systemctl is asked to do with it. */
  readonly verbs: ReadonlySet<string>
}

export interface Needs {
  readonly add: (kind: NeedKind, name: string, by: string, verb?: string) => void
  /** Paths that the scripts make themselves. */
  readonly made: Set<string>
  readonly all: () => readonly Need[]
}

/** An empty collection. */
export function collectNeeds(): Needs {
  const found = new Map<string, { kind: NeedKind; name: string; by: Set<string>; verbs: Set<string> }>()
  return {
    made: new Set(),
    add(kind, name, by, verb) {
      const key = `${kind} ${name}`
      const need = found.get(key) ?? { kind, name, by: new Set(), verbs: new Set() }
      found.set(key, need)
      need.by.add(by)
      if (verb !== undefined) need.verbs.add(verb)
    },
    all: () => [...found.values()],
  }
}

/** Adds what a shell text needs. `functions` are those of what it reads in by `.`. */
export function addShell(needs: Needs, text: string, by: string, functions: ReadonlySet<string>): void {
  const shell = readShell(text)
  for (const command of shell.commands) {
    addCommand(needs, command, by, new Set([...functions, ...shell.functions]))
  }
  // Programs are often called by a variable.
  for (const value of shell.values)
    if (/^\/(usr\/)?s?bin\/[\w.+-]+$/.test(value)) needs.add('path', value, by)
}

// --- internal ---

const builtins = new Set(
  `. : [ [[ alias bg break builtin cd command continue declare dirs disown echo eval exec exit export false fg getopts hash
  in jobs let local logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt source test times
  trap true type typeset ulimit umask unalias unset wait ]] i in`.split(/\s+/),
)

/** Programs that run their words, and how many of those are their own. */
const runners: Readonly<Record<string, (words: readonly string[]) => readonly string[]>> = {
  sudo: (words) => afterOptions(words, /^-[ugphC]$/),
  exec: (words) => afterOptions(words),
  nohup: (words) => afterOptions(words),
  env: (words) => words.slice(words.findIndex((word) => !/^-|=/.test(word))),
  time: (words) => afterOptions(words),
  nice: (words) => afterOptions(words, /^-n$/),
  timeout: (words) => afterOptions(words, /^-[ks]$/).slice(1),
  xargs: (words) => afterOptions(words, /^-[IinLPd]$/),
  command: (words) => afterOptions(words),
  which: (words) => afterOptions(words),
}

/** Programs whose last word is a file that they make. */
const makers = new Set(['cp', 'mv', 'ln', 'install', 'tee', 'mkdir', 'touch'])
/** Programs that do not mind a file that is not there. */
const lenient = new Set([
  'rm',
  'rmdir',
  'test',
  '[',
  '[[',
  'mkdir',
  'touch',
  'ls',
  'find',
  'pkill',
  'echo',
  'printf',
  'log_it',
  'logger',
  'mount',
  'umount',
])

function addCommand(needs: Needs, command: ShellCommand, by: string, functions: ReadonlySet<string>): void {
  const [first = '', ...rest] = command.words
  const program = basename(first)
  for (const path of command.writes) addMade(needs, path)
  if (first.includes(unknown) || functions.has(first)) return
  if (!builtins.has(first)) {
    const isPath = first.startsWith('/')
    if (isPath ? isWhole(first) : /^[a-z_][\w.+-]*$/i.test(first))
      needs.add(isPath ? 'path' : 'program', first, by)
  }
  const words = runners[program]?.(rest)
  if (words !== undefined && words.length > 0) addCommand(needs, { words, writes: [] }, by, functions)
  if (/^(ba)?sh$/.test(program) && rest[0] === '-c') addShell(needs, rest[1] ?? '', by, functions)
  if (program === 'eval') addShell(needs, rest.join(' '), by, functions)
  if (program === 'su') {
    const at = rest.indexOf('-c')
    if (at !== -1) addShell(needs, rest[at + 1] ?? '', by, functions)
  }
  if (program === 'systemctl') addUnits(needs, rest, by)
  if (program === 'service') addUnits(needs, [...rest.slice(1), ...rest.slice(0, 1)], by)
  if (program === 'modprobe')
    for (const name of afterOptions(rest)) if (!name.includes('=')) needs.add('kernel module', name, by)
  addPaths(needs, program, rest, by)
}

function addUnits(needs: Needs, words: readonly string[], by: string): void {
  const [verb = '', ...units] = words.filter((word) => !word.startsWith('-'))
  for (const unit of units) {
    const name = unit.replaceAll(unknown, '').replace(/\.service$/, '')
    if (/^[\w@.:-]+$/.test(name)) needs.add('unit', name, by, verb)
  }
}

function addPaths(needs: Needs, program: string, words: readonly string[], by: string): void {
  const paths = words.filter((word) => isWhole(word))
  const last = words.at(-1) ?? ''
  for (const path of paths) {
    if (makers.has(program) && (path === last || program === 'mkdir' || program === 'touch'))
      addMade(needs, path)
    else if (!lenient.has(program)) needs.add('path', path.replace(/\/+$/, ''), by)
  }
}

function addMade(needs: Needs, path: string): void {
  if (isWhole(path)) needs.made.add(path.replace(/\/+$/, ''))
}

/** Whether a word is one absolute path, known as a whole, of what lies on a disk. */
const isWhole = (word: string) =>
  /^\/(etc|usr|opt|var|root|home|bin|sbin|lib|boot|srv)(\/[\w.@+-]+)+\/?$/.test(word)

/** Words behind a program's own options; those of `withValue` have another word. */
function afterOptions(words: readonly string[], withValue?: RegExp): readonly string[] {
  let at = 0
  while (words[at]?.startsWith('-') && words[at] !== '-') at += withValue?.test(words[at] as string) ? 2 : 1
  return words.slice(at)
}

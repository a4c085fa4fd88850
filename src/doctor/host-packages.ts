/** The Debian and Ubuntu packages of the required programs, the plugins of the programs, and the installation of both. */

import { constants } from 'node:fs/promises'
import type { Arch } from '../arch.ts'
import { exitCodes, PipelineError, shownLines } from '../errors.ts'
import { execa } from '../host/execa.ts'
import { canAccess } from '../host/files.ts'
import { findProgram, findTools, type ToolFault } from '../host/tools.ts'
import { defaultPackerSource, type PackerSource, withPackerPackage } from './packer-package.ts'

/** Debian's keys, which verify every download of packages. Ubuntu's package has the same name. */
export const debianKeyring = {
  path: '/usr/share/keyrings/debian-archive-keyring.gpg',
  package: 'debian-archive-keyring',
} as const

export interface PackageSearch {
  /** Whether to include programs that only the tests call. @default false */
  readonly forTests?: boolean | undefined
  readonly arch?: Arch | undefined
  /** List of folders in the format of `PATH`. @default the environment's */
  readonly path?: string | undefined
  /** @default debianKeyring.path */
  readonly keyring?: string | undefined
}

/** Packages of the tools that are missing or too old here, sorted. */
export async function missingHostPackages(search: PackageSearch = {}): Promise<readonly string[]> {
  const { faults, keyrings } = await examineHost(search)
  return [...new Set([...faults.flatMap((fault) => fault.package ?? []), ...keyrings])].sort()
}

/**
 * Installs what is missing, then checks again: a package can be installed while its program is still too old.
 * @throws PipelineError `setup-*`, or the code with which a mirror is refused
 */
export async function setUpHost(search: PackageSearch, options: InstallOptions): Promise<void> {
  const names = await missingHostPackages(search)
  await installHostPackages(names, options)
  const plugins = options.yes ? await installPlugins(search, options) : []
  const { faults, keyrings } = await examineHost(search)
  if (faults.length > 0 || keyrings.length > 0) throw stillMissing(faults, keyrings)
  if (names.length > 0 || plugins.length > 0) options.onOutput('every program is installed now')
}

interface HostExamination {
  readonly faults: readonly ToolFault[]
  /** Packages that contain the missing keyrings. */
  readonly keyrings: readonly string[]
}

async function examineHost(search: PackageSearch): Promise<HostExamination> {
  const { faults } = await findTools({
    arch: search.arch,
    path: search.path,
    // Includes programs that only other users need: a host is set up for all of them.
    needs: search.forTests ? ['build', 'rootless', 'tests'] : ['build', 'rootless'],
  })
  const hasKeyring = await canAccess(search.keyring ?? debianKeyring.path, constants.R_OK)
  return { faults, keyrings: hasKeyring ? [] : [debianKeyring.package] }
}

export interface InstallOptions {
  /** If false, fails with a list of what would be installed. */
  readonly yes: boolean
  /** Called with each line to show: the current step, and apt's output. */
  readonly onOutput: (line: string) => void
  /** List of folders in which to find apt-get and sudo. @default the environment's `PATH` */
  readonly path?: string | undefined
  /** Where to get Packer if this release has no package for it. @default Debian 12, from Debian's own mirror */
  readonly packer?: PackerSource | undefined
  /** @default whether the current user is root */
  readonly asRoot?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Installs packages with apt, through sudo unless run by root. If there is nothing to install, apt is not called. Packages
 * that this release lacks are reported once all others are installed; Packer then comes from another release.
 * @throws PipelineError `setup-*`, or the code with which a mirror is refused
 */
export async function installHostPackages(names: readonly string[], options: InstallOptions): Promise<void> {
  if (names.length === 0) {
    options.onOutput('every package is installed: nothing to do')
    return
  }
  const asRoot = options.asRoot ?? process.getuid?.() === 0
  const apt = await requireProgram('apt-get', options.path, noApt(names))
  const prefix = asRoot ? [] : [await requireProgram('sudo', options.path, noSudo(names))]
  options.onOutput(
    `${asRoot ? '' : 'by sudo, '}apt-get ${options.yes ? 'installs' : 'would install'} ${names.join(' ')}`,
  )
  if (!options.yes) throw notConfirmed(names)

  const run = (...arguments_: string[]) =>
    runShown([...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', apt, ...arguments_], options, {
      code: 'setup-apt-failed',
      words: 'apt-get failed',
    })
  await run('update')
  const unknown = await unknownPackages(names, options)
  const known = names.filter((name) => !unknown.includes(name))
  const install = (...which: string[]) => run('install', '-y', '--no-install-recommends', ...which)
  if (known.length > 0) await install(...known)
  const packer = options.packer ?? defaultPackerSource(debianKeyring.path)
  const hasSource = unknown.includes('packer') && packer !== undefined
  if (hasSource) {
    options.onOutput(
      `this release has no packer: installing ${packer.suite}'s from ${packer.mirror}, verified with Debian's signature`,
    )
    await withPackerPackage(packer, install, options.signal)
  }
  const nowhere = unknown.filter((name) => !(hasSource && name === 'packer'))
  if (nowhere.length > 0) throw notInRelease(nowhere)
}

/** Installs plugins, without sudo: a program looks for them in the home of the user who runs it. Returns their names. */
async function installPlugins(search: PackageSearch, options: InstallOptions): Promise<readonly string[]> {
  const { faults } = await examineHost(search)
  const plugins = faults.flatMap(({ needed, tool, remedy, command }) =>
    command === undefined ? [] : [{ needed, tool, remedy, command }],
  )
  for (const { needed, tool, remedy, command } of plugins) {
    options.onOutput(`"${remedy}" installs ${needed}`)
    await runShown(command, options, {
      code: 'setup-plugin-failed',
      words: `${tool.name} failed to install its plugin`,
    })
  }
  return plugins.map(({ needed }) => needed)
}

async function requireProgram(name: string, path: string | undefined, fault: PipelineError): Promise<string> {
  const found = await findProgram(name, path)
  if (found === undefined) throw fault
  return found
}

/** Runs a command and shows each line of its output as it arrives. */
async function runShown(
  command: readonly string[],
  { onOutput, signal }: InstallOptions,
  failure: { readonly code: 'setup-apt-failed' | 'setup-plugin-failed'; readonly words: string },
): Promise<void> {
  const [program, ...arguments_] = command as [string, ...string[]]
  const child = execa(program, arguments_, {
    reject: false,
    all: true,
    // sudo may ask for a password on the terminal.
    stdin: 'inherit',
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  for await (const line of child.iterable({ from: 'all' })) onOutput(String(line))
  const result = await child
  if (!result.failed) return
  throw new PipelineError({
    code: failure.code,
    message: `${failure.words}: ${result.shortMessage}\n${result.all.split('\n').slice(-shownLines).join('\n')}`,
    hint: `run it by hand to see more: ${result.escapedCommand}`,
    exitCode: exitCodes.hostNotFit,
    cause: result,
  })
}

/** Names for which apt has no installable version. */
async function unknownPackages(
  names: readonly string[],
  options: InstallOptions,
): Promise<readonly string[]> {
  const cache = await findProgram('apt-cache', options.path)
  if (cache === undefined) return []
  const result = await execa(cache, ['policy', ...names], {
    reject: false,
    env: { LC_ALL: 'C' },
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  })
  const stanzas = result.stdout.split(/^(?=\S)/m)
  const hasCandidate = (name: string) =>
    stanzas.some((stanza) => stanza.startsWith(`${name}:`) && /^\s+Candidate: (?!\(none\))\S/m.test(stanza))
  return names.filter((name) => !hasCandidate(name))
}

// --- faults ---

function notInRelease(names: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'setup-package-unknown',
    message: `this release has no package ${names.join(', ')}; all others are installed`,
    hint: 'check /etc/apt/sources.list and /etc/apt/sources.list.d: on Ubuntu, universe has to be enabled.',
    exitCode: exitCodes.hostNotFit,
    details: { names },
  })
}

function stillMissing(faults: readonly ToolFault[], keyrings: readonly string[]): PipelineError {
  const lines = [
    ...faults.map(({ found, needed, remedy }) => `  ${needed} (${remedy}); found ${found}`),
    ...keyrings.map((name) => `  ${debianKeyring.path} (package ${name})`),
  ]
  const remedies = faults.flatMap((fault) => (fault.package === undefined ? [fault.remedy] : []))
  const isPackaged = remedies.length < lines.length
  return new PipelineError({
    code: 'setup-incomplete',
    message: ['with every package installed, this host still lacks', ...lines].join('\n'),
    hint: isPackaged
      ? 'this release may be too old (Debian 12 and Ubuntu 24.04 are not), or another program of that name comes first in PATH.'
      : `run: ${remedies.join('; ')}`,
    exitCode: exitCodes.hostNotFit,
    details: { tools: faults.map(({ tool }) => tool.name), keyrings },
  })
}

function noApt(names: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'setup-no-apt',
    message: 'there is no apt-get here; only Debian and Ubuntu can be set up by this command',
    hint: `install the contents of these Debian packages: ${names.join(' ')}`,
    exitCode: exitCodes.hostNotFit,
    details: { names },
  })
}

function noSudo(names: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'setup-no-sudo',
    message: 'only root can install packages, and there is no sudo here',
    hint: `as root: apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`,
    exitCode: exitCodes.hostNotFit,
    details: { names },
  })
}

function notConfirmed(names: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'setup-not-confirmed',
    message: `${names.length === 1 ? '1 package is' : `${names.length} packages are`} missing: ${names.join(' ')}`,
    hint: 'add --yes to install them.',
    exitCode: exitCodes.hostNotFit,
    details: { names },
  })
}

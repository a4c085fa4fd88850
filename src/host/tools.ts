/** The programs this product runs: where they are, their minimum versions, and their Debian packages. */

import { access, constants, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { execa } from 'execa'
import { type Arch, archs } from '../arch.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { isForeign } from './foreign.ts'

/** Who needs a tool: `rootless` is every build not run by root; a missing `optional` one is no fault. */
export type ToolNeed = 'build' | 'rootless' | 'tests' | 'optional'

/** One program of the table. */
export interface Tool {
  readonly name: string
  readonly need: ToolNeed
  /** Its package in Debian and Ubuntu, if the name is the same in both. */
  readonly package: string
  /** Arguments that print its version; absent if the program has no such option. */
  readonly versionArguments?: readonly string[]
  /** Oldest version that works. Absent if every supported Debian has one. */
  readonly minimum?: string
  readonly plugin?: Plugin
  /** Path of a file that other programs read; absent for a program. */
  readonly file?: string
}

/** What a program needs besides itself from some version on. */
export interface Plugin {
  readonly since: string
  /** Its name in the program's list of plugins. */
  readonly name: string
  readonly listArguments: readonly string[]
  /** Command that installs it. */
  readonly remedy: string
}

/** The table, for images of one architecture. */
export function hostTools(arch: Arch = 'x86_64'): readonly Tool[] {
  return [
    // Debian 12's includes the QEMU builder; from 1.7 on it is a plugin, which the template declares.
    {
      name: 'packer',
      need: 'build',
      package: 'packer',
      versionArguments: ['version'],
      minimum: '1.6',
      plugin: {
        since: '1.7',
        name: 'packer-plugin-qemu',
        listArguments: ['plugins', 'installed'],
        remedy: 'packer plugins install github.com/hashicorp/qemu',
      },
    },
    {
      name: `qemu-system-${arch}`,
      need: 'build',
      package: archs[arch].qemuPackage,
      versionArguments: ['--version'],
      minimum: '5.2',
    },
    {
      name: 'qemu-img',
      need: 'build',
      package: 'qemu-utils',
      versionArguments: ['--version'],
      minimum: '5.2',
    },
    // Debian 12's, the oldest version this product was built with.
    {
      name: 'mmdebstrap',
      need: 'build',
      package: 'mmdebstrap',
      versionArguments: ['--version'],
      minimum: '1.3',
    },
    // For `-d`, which fills a filesystem from a folder without mounting anything.
    { name: 'mke2fs', need: 'build', package: 'e2fsprogs', versionArguments: ['-V'], minimum: '1.45' },
    { name: 'debugfs', need: 'build', package: 'e2fsprogs', versionArguments: ['-V'], minimum: '1.45' },
    { name: 'sfdisk', need: 'build', package: 'fdisk', versionArguments: ['--version'] },
    { name: 'mkswap', need: 'build', package: 'util-linux', versionArguments: ['--version'] },
    { name: 'blkid', need: 'build', package: 'util-linux', versionArguments: ['--version'] },
    { name: 'mount', need: 'build', package: 'mount', versionArguments: ['--version'] },
    { name: 'gpgv', need: 'build', package: 'gpgv', versionArguments: ['--version'] },
    { name: 'tar', need: 'build', package: 'tar', versionArguments: ['--version'] },
    { name: 'zstd', need: 'build', package: 'zstd', versionArguments: ['--version'] },
    // These two leave no trace in an image, so their versions are nothing to lock: xz reads package indexes.
    { name: 'flock', need: 'build', package: 'util-linux' },
    { name: 'xz', need: 'build', package: 'xz-utils' },
    { name: 'ssh-keygen', need: 'build', package: 'openssh-client' },
    { name: 'ssh', need: 'build', package: 'openssh-client' },
    // For the C library's crypt, with which `verify` tries known passwords.
    { name: 'perl', need: 'build', package: 'perl-base' },
    ...architectureTools(arch),
    { name: 'newuidmap', need: 'rootless', package: 'uidmap' },
    // Only for `store push` and `store pull`, which check for it themselves.
    { name: 'skopeo', need: 'tests', package: 'skopeo', versionArguments: ['--version'] },
    { name: 'git', need: 'optional', package: 'git', versionArguments: ['--version'] },
    // Only if `formats` asks for an archive; the build checks for them then.
    { name: 'lbzip2', need: 'tests', package: 'lbzip2', versionArguments: ['--version'] },
    { name: 'pigz', need: 'tests', package: 'pigz', versionArguments: ['--version'] },
    { name: 'bzip2', need: 'tests', package: 'bzip2' },
    { name: 'unzip', need: 'tests', package: 'unzip' },
    { name: 'cpio', need: 'tests', package: 'cpio', versionArguments: ['--version'] },
    { name: 'gpg', need: 'tests', package: 'gnupg', versionArguments: ['--version'] },
    { name: 'shellcheck', need: 'tests', package: 'shellcheck', versionArguments: ['--version'] },
    { name: 'debconf-set-selections', need: 'tests', package: 'debconf' },
    // Debian 12's, the oldest version that the payload runs on.
    {
      name: 'python3',
      need: 'tests',
      package: 'python3',
      versionArguments: ['--version'],
      minimum: '3.11',
    },
  ]
}

/** A tool found on this host. */
export interface FoundTool {
  readonly tool: Tool
  readonly path: string
  /** Undefined for a program that does not report it. */
  readonly version: string | undefined
}

/** A tool that is missing on this host, or has an unsuitable version. */
export interface ToolFault {
  readonly tool: Tool
  /** What was found instead, in words: `nothing`, `1.5.1 at /usr/bin/packer`, … */
  readonly found: string
  /** What is required, in words. */
  readonly needed: string
  /** Package that has it; undefined if none does. */
  readonly package: string | undefined
  /** What to install, or the command that does it: `package zstd`, … */
  readonly remedy: string
}

export interface ToolReport {
  readonly found: readonly FoundTool[]
  readonly faults: readonly ToolFault[]
}

/** Which tools to look for, and where. */
export interface ToolSearch {
  readonly arch?: Arch | undefined
  /** @default all needs except the tests', and `rootless` unless run by root */
  readonly needs?: readonly ToolNeed[] | undefined
  /** Search path, like `PATH`. @default the environment's */
  readonly path?: string | undefined
}

/** Looks for every tool at once. Faults are returned; nothing is thrown. */
export async function findTools(search: ToolSearch = {}): Promise<ToolReport> {
  const rootless = process.getuid?.() !== 0
  const needs = search.needs ?? ['build', 'optional', ...(rootless ? (['rootless'] as const) : [])]
  const folders = searchFolders(search.path ?? process.env.PATH ?? '')
  const tools = hostTools(search.arch).filter((tool) => needs.includes(tool.need))
  const results = await Promise.all(tools.map((tool) => examine(tool, folders)))
  return {
    found: results.flatMap((result) => ('path' in result ? [result] : [])),
    faults: results.flatMap((result) => ('needed' in result ? [result] : [])),
  }
}

/** Path of an executable program, or undefined. Also searches root's folders, which users' PATH leaves out. */
export async function findProgram(name: string, path = process.env.PATH ?? ''): Promise<string | undefined> {
  return findIn(name, searchFolders(path))
}

/** Compares dotted numbers. Anything else in a version (`+ds`, `-rc1`) does not count. */
export function isAtLeast(version: string, minimum: string): boolean {
  const found = version.split('.').map(Number)
  const needed = minimum.split('.').map(Number)
  for (const [index, part] of needed.entries()) {
    const difference = (found[index] ?? 0) - part
    if (difference !== 0) return difference > 0
  }
  return true
}

/** @param names programs that this host lacks, of the table or not */
export function toolsMissing(names: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'tools',
    message: `this host lacks ${names.join(', ')}`,
    hint: 'install what is missing with: npm run setup',
    exitCode: exitCodes.hostNotFit,
    details: { tools: names },
  })
}

// --- internal ---

/** What images of an architecture need besides, on this host. */
function architectureTools(arch: Arch): readonly Tool[] {
  const { table, uefi } = archs[arch]
  const foreign: readonly Tool[] = [
    // mmdebstrap asks it whether programs of the architecture run.
    { name: 'arch-test', need: 'build', package: 'arch-test' },
    { name: `qemu-${arch}-static`, need: 'build', package: 'qemu-user-static' },
    { name: 'update-binfmts', need: 'build', package: 'binfmt-support' },
  ]
  const ofEfi: readonly Tool[] = [
    { name: 'mkfs.vfat', need: 'build', package: 'dosfstools' },
    { name: 'mcopy', need: 'build', package: 'mtools' },
  ]
  return [
    ...(table === 'gpt' ? ofEfi : []),
    ...(uefi === undefined
      ? []
      : [{ name: 'UEFI firmware', need: 'build' as const, package: uefi.package, file: uefi.file }]),
    ...(isForeign(arch) ? foreign : []),
  ]
}

const administratorFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

function searchFolders(path: string): readonly string[] {
  return [...new Set([...path.split(delimiter).filter(Boolean), ...administratorFolders])]
}

async function findIn(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name)
    const isProgram = await access(path, constants.X_OK)
      .then(async () => (await stat(path)).isFile())
      .catch(() => false)
    if (isProgram) return path
  }
  return undefined
}

async function examine(tool: Tool, folders: readonly string[]): Promise<FoundTool | ToolFault> {
  const needed = tool.minimum === undefined ? tool.name : `${tool.name} ${tool.minimum} or newer`
  const fault = (found: string): ToolFault => ({
    tool,
    found,
    needed,
    package: tool.package,
    remedy: `package ${tool.package}`,
  })
  const path = tool.file === undefined ? await findIn(tool.name, folders) : await readable(tool.file)
  if (path === undefined) return fault('nothing')
  if (tool.versionArguments === undefined) return { tool, path, version: undefined }
  const version = await readVersion(path, tool.versionArguments)
  if (version === undefined) return fault(`${path}, which does not say its version`)
  if (tool.minimum !== undefined && !isAtLeast(version, tool.minimum)) return fault(`${version} at ${path}`)
  const { plugin } = tool
  if (plugin !== undefined && isAtLeast(version, plugin.since) && (await lacksPlugin(path, plugin))) {
    return {
      tool,
      found: `${version} at ${path} without it`,
      needed: plugin.name,
      package: undefined,
      remedy: plugin.remedy,
    }
  }
  return { tool, path, version }
}

async function readable(file: string): Promise<string | undefined> {
  return access(file, constants.R_OK).then(
    () => file,
    () => undefined,
  )
}

/** A program that cannot list its plugins gets the benefit of the doubt. */
async function lacksPlugin(path: string, { name, listArguments }: Plugin): Promise<boolean> {
  const result = await ask(path, listArguments)
  return !result.failed && !result.stdout.includes(name)
}

/** Programs do not change while they are examined; a replaced one has a different time. */
const versions = new Map<string, Promise<string | undefined>>()

async function readVersion(path: string, arguments_: readonly string[]): Promise<string | undefined> {
  const modified = await stat(path).then(
    (found) => found.mtimeMs,
    () => 0,
  )
  const key = `${path} ${modified}`
  const known = versions.get(key) ?? askVersion(path, arguments_)
  versions.set(key, known)
  return known
}

async function askVersion(path: string, arguments_: readonly string[]): Promise<string | undefined> {
  const result = await ask(path, arguments_)
  return /\d+(\.\d+)+/.exec(result.all)?.[0]
}

function ask(path: string, arguments_: readonly string[]) {
  return execa(path, arguments_, {
    reject: false,
    all: true,
    stdin: 'ignore',
    // Packer starts a dozen processes of itself: ten seconds were too few on a host with twenty others at work.
    timeout: 60_000,
    // Otherwise Packer would ask its vendor for a newer version, and wait for the answer.
    env: { LC_ALL: 'C', CHECKPOINT_DISABLE: '1' },
  })
}

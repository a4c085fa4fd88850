/** Finds the programs of the table on this host, and reports what is wrong with them. */

import { access, constants, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Arch } from '../arch.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { execa } from './execa.ts'
import { hostTools, type Plugin, type Tool, type ToolNeed } from './tool-table.ts'

/** A tool found on this host. */
export interface FoundTool {
  readonly tool: Tool
  readonly path: string
  /** Undefined for a program that does not report its version. */
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
  /** Command that installs it if no package does, run by the user that needs it. */
  readonly command?: readonly [string, ...string[]]
  /** What to install, or the command to run: `package zstd`, … */
  readonly remedy: string
}

export interface ToolReport {
  readonly found: readonly FoundTool[]
  readonly faults: readonly ToolFault[]
}

/** Which tools to look for, and where. */
export interface ToolSearch {
  readonly arch?: Arch | undefined
  /** @default all needs except `tests`, and `rootless` unless run by root */
  readonly needs?: readonly ToolNeed[] | undefined
  /** Search path, like `PATH`. @default the environment's */
  readonly path?: string | undefined
}

/** Looks for all tools at once. Faults are returned, never thrown. */
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

/** Path of an executable program, or undefined. Also searches root's folders, which a user's PATH leaves out. */
export async function findProgram(name: string, path = process.env.PATH ?? ''): Promise<string | undefined> {
  return findIn(name, searchFolders(path))
}

/** Compares dotted numbers. Ignores anything else in a version (`+ds`, `-rc1`). */
export function isAtLeast(version: string, minimum: string): boolean {
  const found = version.split('.').map(Number)
  const needed = minimum.split('.').map(Number)
  for (const [index, part] of needed.entries()) {
    const difference = (found[index] ?? 0) - part
    if (difference !== 0) return difference > 0
  }
  return true
}

/** @param names programs that this host lacks, whether or not they are in the table */
export function toolsMissing(names: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'tools',
    message: `this host lacks ${names.join(', ')}`,
    hint: 'install what is missing with: npm run setup -- --yes',
    exitCode: exitCodes.hostNotFit,
    details: { tools: names },
  })
}

// --- internal ---

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
      command: [path, ...plugin.installArguments],
      remedy: [tool.name, ...plugin.installArguments].join(' '),
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

/** Programs do not change while they are examined; a replaced one has a different timestamp. */
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
    // Packer starts a dozen processes of its own: ten seconds were too few on a host with twenty others at work.
    timeout: 60_000,
    // Otherwise Packer would ask its vendor for a newer version, and wait for the response.
    env: { LC_ALL: 'C', CHECKPOINT_DISABLE: '1' },
  })
}

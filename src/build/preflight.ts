/** What has to hold before a build touches anything. */

import { access, constants, readdir, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ResolvedImage } from '../config/resolved.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder } from '../host/files.ts'
import { findProgram, findTools, isAtLeast, type ToolFault } from '../host/tools.ts'
import { verifyRelease } from '../install/release.ts'
import type { Plan } from '../plan/plan.ts'
import type { PackerDialect } from './packer-hcl.ts'

/** Room that a build wants where `out/` lies: the base, the layers above it, the flattened disk, and five images. */
export const neededBytes = 8 * 1024 ** 3

export interface HostTools {
  /** Versions by name. */
  readonly versions: Readonly<Record<string, string>>
  readonly packer: PackerDialect
}

/** Finds the host's tools. @throws PipelineError `tools` naming every one that is missing or too old */
export async function requireTools(arch: 'x86_64' | 'aarch64'): Promise<HostTools> {
  const { found, faults } = await findTools({ arch })
  if (faults.length > 0) throw toolsMissing(faults)
  const versions = Object.fromEntries(found.map(({ tool, version }) => [tool.name, version ?? 'unknown']))
  return { versions, packer: isAtLeast(versions.packer ?? '0', '1.7') ? '1.7' : '1.6' }
}

function toolsMissing(faults: readonly ToolFault[]): PipelineError {
  const lines = faults.map(
    ({ tool, found, needed, remedy }) => `  ${tool.name}: ${found}, needed ${needed} (${remedy})`,
  )
  return new PipelineError({
    code: 'tools',
    message: ['this host lacks tools:', ...lines].join('\n'),
    hint: 'install them with: npm run setup',
    exitCode: exitCodes.hostNotFit,
    details: { tools: faults.map(({ tool }) => tool.name) },
  })
}

/** Packer reads braces in a path as its own templating. @throws PipelineError `path-braces` */
export function requirePlainPaths(...paths: readonly string[]): void {
  const path = paths.find((candidate) => candidate.includes('{{'))
  if (path === undefined) return
  throw new PipelineError({
    code: 'path-braces',
    message: `the path ${path} has {{ in it, which Packer takes for a template`,
    hint: 'use a folder without it.',
    exitCode: exitCodes.badInput,
  })
}

/** Programs that pack images, wanted only where `formats` asks for an archive. @throws PipelineError `tools` */
export async function requireArchivers({
  targets,
  formats,
}: Pick<ResolvedImage, 'targets' | 'formats'>): Promise<void> {
  const programs = { none: undefined, bz2: 'lbzip2', zip: 'pigz' } as const
  const { kvm, xenserver, hyperv, raw } = formats
  const archives = {
    kvm: kvm.archive,
    xenserver: xenserver.archive,
    hyperv: hyperv.archive,
    raw: raw.archive,
  }
  for (const target of targets) {
    const program = target === 'vmware' ? undefined : programs[archives[target]]
    if (program === undefined || (await findProgram(program)) !== undefined) continue
    throw new PipelineError({
      code: 'tools',
      message: `formats.${target}.archive needs the program ${program}, and this host has none (package ${program})`,
      hint: 'install it with: npm run setup, or set the archive to none.',
      exitCode: exitCodes.hostNotFit,
    })
  }
}

/** @throws PipelineError `out-read-only` when it cannot be written, or is no folder */
export async function requireWritable(folder: string): Promise<void> {
  try {
    await makeFolder(folder)
    // Opening it finds out what is no folder, too.
    await readdir(folder)
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw new PipelineError({
      code: 'out-read-only',
      message: `cannot write in the output folder ${folder}: ${(cause as NodeJS.ErrnoException).code}`,
      hint: 'make it writable for you, or give another one with --out.',
      exitCode: exitCodes.hostNotFit,
      cause,
    })
  }
}

/** Free bytes on the disk of a folder, which need not exist yet. */
export async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch (error) {
    const above = dirname(folder)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === folder) throw error
    return freeBytes(above)
  }
}

/** @throws PipelineError `no-space` with what is free and what is needed */
export async function requireSpace(folder: string, bytes = neededBytes): Promise<void> {
  const free = await freeBytes(folder)
  if (free >= bytes) return
  const gib = (count: number) => `${(count / 1024 ** 3).toFixed(1)} GiB`
  throw new PipelineError({
    code: 'no-space',
    message: `not enough disk space for ${folder}: ${gib(free)} are free, a build needs ${gib(bytes)}`,
    hint: 'make room, remove old runs and layers with: npm run image -- clean, or give another folder with --out.',
    exitCode: exitCodes.hostNotFit,
    details: { freeBytes: free, neededBytes: bytes },
  })
}

/** Proves every package source that the plan will use, before anything is downloaded from it. */
export async function requireMirror(plan: Plan, signal: AbortSignal): Promise<void> {
  const usesMirror = !plan.base.cached || plan.stages.some((stage) => !stage.cached && stage.stage.network)
  if (!usesMirror) return
  const { mirror, suite, debianArch } = plan.image
  const shared = { ...mirror, arch: debianArch }
  await Promise.all([
    verifyRelease({ ...shared, url: mirror.debian, suite }, { signal }),
    verifyRelease({ ...shared, url: mirror.debian, suite: `${suite}-updates` }, { signal }),
    verifyRelease({ ...shared, url: mirror.security, suite: `${suite}-security` }, { signal }),
  ])
}

/** What has to hold before a build touches anything. */

import type { ResolvedImage } from '../config/resolved.ts'
import { archivesOf } from '../debian/archives.ts'
import { verifyRelease } from '../debian/release.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { findProgram, findTools, isAtLeast, type ToolFault } from '../host/tools.ts'
import { installerOf } from '../installers/index.ts'
import type { PackerDialect } from '../packer/template.ts'
import type { Plan } from '../plan/plan.ts'
import type { Room } from '../plan/room.ts'
import { formatBytes } from '../report/format.ts'
import { archiveOf } from '../targets/registry.ts'

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
  for (const target of targets) {
    const program = programs[archiveOf(target, formats)]
    if (program === undefined || (await findProgram(program)) !== undefined) continue
    throw new PipelineError({
      code: 'tools',
      message: `formats.${target}.archive needs the program ${program}, and this host has none (package ${program})`,
      hint: 'install it with: npm run setup, or set the archive to none.',
      exitCode: exitCodes.hostNotFit,
    })
  }
}

/** Room is short below this many times what a build is expected to take: no two builds take quite the same. */
const comfort = 1.25

/** What is to be said of a disk that is too small for a build, or only just large enough. */
export function describeShortness(folder: string, room: Room): string | undefined {
  const { peakBytes, isKnown, freeBytes } = room
  if (freeBytes >= peakBytes * (isKnown ? comfort : 1)) return undefined
  const needs = `${isKnown ? 'this build needs about' : 'a build needs'} ${formatBytes(peakBytes)}`
  const what = freeBytes < peakBytes ? 'not enough disk space' : 'little disk space'
  return `${what} for ${folder}: ${formatBytes(freeBytes)} are free, ${needs}`
}

/**
 * Returns a warning where the room is only just enough.
 * @throws PipelineError `no-space` with what is free and what is needed
 */
export function requireRoom(folder: string, room: Room): string | undefined {
  const shortness = describeShortness(folder, room)
  if (shortness === undefined || room.freeBytes >= room.peakBytes) return shortness
  throw new PipelineError({
    code: 'no-space',
    message: shortness,
    hint: 'make room, remove layers with: npm run image -- store prune, or give another folder with --out.',
    exitCode: exitCodes.hostNotFit,
    details: { freeBytes: room.freeBytes, neededBytes: room.peakBytes },
  })
}

/** Proves every package source that the plan will use, before anything is downloaded from it. */
export async function requireMirror(plan: Plan, signal: AbortSignal): Promise<void> {
  const usesMirror = !plan.base.cached || plan.stages.some((stage) => !stage.cached && stage.stage.network)
  if (!usesMirror) return
  if (!plan.base.cached) await installerOf(plan.image).preflight?.(plan.image, signal)
  await Promise.all(archivesOf(plan.image).map((archive) => verifyRelease(archive, { signal })))
}

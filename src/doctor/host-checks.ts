/** The only list of host checks, with the tasks that run each. */

import type { Arch } from '../arch.ts'
import type { ImageFacts } from '../config/image.ts'
import { archivesOf, udebArchiveOf, uniqueArchives } from '../debian/archives.ts'
import { type ReleaseRequest, type VerifiedRelease, verifyRelease } from '../debian/release.ts'
import { openReleaseMemory } from '../debian/release-memory.ts'
import { findAccount } from '../host/account.ts'
import { isForeign } from '../host/foreign.ts'
import { needsUdebs } from '../installers/debian-installer/udebs.ts'
import type { Finding, HostCheck, HostContext, HostImage, HostInput, Probe, Task } from './check.ts'
import { checkForeign, checkOther } from './checks/foreign.ts'
import {
  checkAccelerator,
  checkAccount,
  checkMemory,
  checkNamespaces,
  checkNode,
  checkSystem,
} from './checks/host.ts'
import { checkArchive, checkKeyring, checkUdebs } from './checks/mirrors.ts'
import { checkPath, checkSpace, checkWorkFolder, checkWritable } from './checks/output.ts'
import { checkArchiver, checkTools, packedTargets } from './checks/tools.ts'

export const hostChecks: readonly HostCheck[] = [
  { id: 'system', tasks: [], probes: () => [probe('system', 'system', checkSystem)] },
  {
    id: 'work-folder',
    // Precedes the checks of programs, which fail without this folder.
    tasks: ['build', 'plan', 'shell', 'run', 'verify', 'export'],
    probes: () => [probe('work-folder', 'temporary files', checkWorkFolder)],
  },
  {
    id: 'account',
    // Each of these tasks logs in to a guest.
    tasks: ['build', 'shell', 'run', 'verify'],
    probes: () => [probe('account', 'account', () => checkAccount(findAccount()))],
  },
  { id: 'node', tasks: [], probes: () => [probe('node', 'Node.js', () => checkNode(process.versions.node))] },
  {
    id: 'tools',
    tasks: ['build', 'shell', 'run', 'verify'],
    probes: ({ images }) =>
      (images.length === 0 ? (['x86_64'] as const) : archsOf(images)).map((arch) =>
        probe('tools', 'tools', () => checkTools(arch)),
      ),
  },
  {
    id: 'foreign-programs',
    // In a build, the installer checks this.
    tasks: [],
    probes: ({ images, otherArchs = [] }) => [
      ...archsOf(images.filter(({ installer }) => installer === 'bootstrap'))
        .filter(isForeign)
        .map((arch) => probe(`foreign-programs:${arch}`, 'emulation', () => checkForeign(arch))),
      ...otherArchs.map((arch) => probe(`other:${arch}`, arch, () => checkOther(arch))),
    ],
  },
  {
    id: 'path',
    tasks: ['build'],
    probes: ({ images, outDir }) =>
      [outDir, ...images.flatMap(({ stages = [] }) => stages.map(({ script }) => script))]
        .filter((path) => path?.includes('{{'))
        .map((path) => probe('path', 'path', () => checkPath(path ?? ''))),
  },
  {
    id: 'archiver',
    tasks: ['build', 'export'],
    probes: ({ images }) => {
      const probes = images.flatMap(({ targets, formats }) =>
        targets === undefined || formats === undefined
          ? []
          : packedTargets({ targets, formats }).map((target) =>
              probe(`archiver:${target}`, 'archivers', () => checkArchiver(target, formats)),
            ),
      )
      // A target has the same kind of archive in all images.
      return [...new Map(probes.map((one) => [one.id, one])).values()]
    },
  },
  {
    id: 'out-writable',
    // A build makes the folder, and so finds out by itself.
    tasks: [],
    probes: ({ outDir }) =>
      outDir === undefined ? [] : [probe('out-writable', 'output', () => checkWritable(outDir))],
  },
  {
    id: 'disk-space',
    tasks: ['planned-build', 'plan'],
    probes: ({ outDir, room, neededBytes }) => {
      const need = room ?? (neededBytes === undefined ? undefined : { neededBytes })
      if (outDir === undefined || need === undefined) return []
      return [probe('disk-space', 'disk space', () => checkSpace(outDir, need))]
    },
  },
  {
    id: 'memory',
    tasks: [],
    probes: ({ neededMemoryMiB = 2560 }) => [probe('memory', 'memory', () => checkMemory(neededMemoryMiB))],
  },
  {
    id: 'user-namespaces',
    tasks: [],
    // Only the bootstrap installer creates a namespace, and root needs none.
    probes: ({ images, signal }) => {
      const isNeeded = images.length === 0 || images.some(({ installer }) => installer !== 'debian-installer')
      if (!isNeeded || process.getuid?.() === 0) return []
      return [probe('user-namespaces', 'namespaces', () => checkNamespaces(signal))]
    },
  },
  {
    id: 'keyring',
    // Without a keyring, no archive can be verified, and the mirror check fails.
    tasks: [],
    probes: ({ images }) =>
      unique(images.flatMap(({ mirror }) => mirror?.keyring ?? [])).map((path) =>
        probe(`keyring:${path}`, 'keyring', () => checkKeyring(path)),
      ),
  },
  {
    id: 'accelerator',
    tasks: [],
    probes: (context) => {
      const { cacheDir, images } = context
      if (cacheDir === undefined) return []
      return archsOf(images).map((arch) =>
        probe(`accelerator:${arch}`, 'accelerator', () => checkAccelerator(arch, cacheDir, context)),
      )
    },
  },
  {
    id: 'mirror',
    tasks: ['planned-build'],
    probes: (context) =>
      uniqueArchives(context.images.filter(hasMirror).flatMap(archivesOf)).map((archive) =>
        probe(`mirror:${archive.suite}`, archive.suite, () => checkArchive(archive, context)),
      ),
  },
  {
    id: 'udebs',
    // In a build, the installer checks this.
    tasks: [],
    probes: (context) => {
      const images = context.images.filter(hasMirror)
      const wanted = uniqueArchives(images.filter(wantsUdebs).map(udebArchiveOf))
      const all = uniqueArchives(images.map(udebArchiveOf))
      return (context.task === 'doctor' ? all : wanted).map((archive) => {
        const isWanted = wanted.some((one) => isSame(one, archive))
        return probe(`udebs:${archive.suite}`, 'udebs', () => checkUdebs(archive, isWanted, context))
      })
    },
  },
]

/** The context for probes. */
export function contextOf(task: HostContext['task'], input: HostInput): HostContext {
  const releases = new Map<string, Promise<VerifiedRelease>>()
  const memory = input.outDir === undefined ? undefined : openReleaseMemory(input.outDir)
  const releaseOf = (archive: ReleaseRequest) => {
    const { url, suite, keyring } = archive
    const id = JSON.stringify([url, suite, keyring])
    const release = releases.get(id) ?? verifyRelease(archive, { signal: input.signal, memory })
    releases.set(id, release)
    return release
  }
  return { ...input, task, releaseOf }
}

/**
 * Runs the checks of a task sequentially, and the probes of each check in parallel.
 * @returns warnings
 * @throws the PipelineError of the first fault
 */
export async function requireFit(task: Exclude<Task, 'plan'>, input: HostInput): Promise<readonly string[]> {
  const context = contextOf(task, input)
  const notes: string[] = []
  for (const check of checksOf(task)) {
    const findings = await runProbes(check, context)
    const fault = findings.find(({ error }) => error !== undefined)
    if (fault?.error !== undefined) throw fault.error
    notes.push(...findings.flatMap(({ note }) => note ?? []))
  }
  return notes
}

/** Warnings for a plan. */
export async function findWarnings(input: HostInput): Promise<readonly string[]> {
  const context = contextOf('plan', input)
  const findings = await Promise.all(checksOf('plan').map((check) => runProbes(check, context)))
  return findings.flat().flatMap(({ note, error }) => note ?? error?.message ?? [])
}

// --- internal ---

function checksOf(task: Task): readonly HostCheck[] {
  return hostChecks.filter(({ tasks }) => tasks.includes(task))
}

async function runProbes({ probes }: HostCheck, context: HostContext): Promise<readonly Finding[]> {
  return (await Promise.all(probes(context).map(({ run }) => run()))).flat()
}

function probe(id: string, title: string, run: Probe['run']): Probe {
  return { id, title, run }
}

type WithMirror = HostImage & Pick<ImageFacts, 'suite' | 'debianArch' | 'mirror'>

function hasMirror(image: HostImage): image is WithMirror {
  return image.mirror !== undefined && image.suite !== undefined && image.debianArch !== undefined
}

function wantsUdebs({ installer, debianInstaller }: HostImage): boolean {
  return (
    installer !== undefined && debianInstaller !== undefined && needsUdebs({ installer, debianInstaller })
  )
}

function isSame(one: ReleaseRequest, other: ReleaseRequest): boolean {
  return one.url === other.url && one.suite === other.suite && one.keyring === other.keyring
}

function archsOf(images: readonly HostImage[]): readonly Arch[] {
  return unique(images.flatMap(({ arch }) => arch ?? []))
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)]
}

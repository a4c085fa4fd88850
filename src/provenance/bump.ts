/** The lock that a build from scratch would match today, found without building: `lock update --bump`. */

import type { ResolvedImage } from '../config/resolved.ts'
import { archivesOf } from '../debian/archives.ts'
import { type LoadedArchive, loadArchives } from '../debian/load-archives.ts'
import { findUpdates } from '../debian/updates.ts'
import { compareVersions } from '../debian/version.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { installerOf } from '../installers/index.ts'
import type { PredictedPackage } from '../installers/installer.ts'
import { planImage } from '../plan/plan.ts'
import type { Store } from '../store/store.ts'
import { entryKey, type IndexEntry, parseIndex } from './apt-lists.ts'
import { buildTools, type LockedVariant } from './lock.ts'

export interface BumpRequest {
  readonly image: ResolvedImage
  /** What the lock currently has. */
  readonly before: LockedVariant | undefined
  /** Knows which packages the stages added and removed when they last ran. */
  readonly store: Store
  readonly outFolder: string
  /** Versions of the host's tools, for a lock that has none yet. */
  readonly tools: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

export interface Bumped {
  readonly after: LockedVariant
  /** Names of packages whose new version is a security fix, sorted. */
  readonly security: readonly string[]
  /** Whether every stage has run here before; if not, packages that stages add or remove are not counted. */
  readonly knowsStages: boolean
}

/** @throws PipelineError `lock-unpredictable`, `bootstrap-failed`, or with a code that begins with `mirror-` or `keyring-` */
export async function bumpLock(request: BumpRequest): Promise<Bumped> {
  const { image, before, outFolder, tools, signal } = request
  const { predict, name: installer } = installerOf(image)
  if (predict === undefined)
    throw unpredictable(
      `${image.variant}: what the installer ${installer} installs is only known after it has run`,
      'build with --refresh, then: npm run image -- lock update',
    )
  const archives = await loadArchives(archivesOf(image), outFolder, signal)
  const { stages } = await planImage(image, request.store, { signal })
  const ran = stages.map(({ cached, closest }) => cached ?? closest)
  const packages = afterStages(
    await predict(image, archives, signal),
    ran.flatMap((layer) => layer?.packages ?? []),
  )
  const entries = readEntries(archives, new Set(packages.keys()))
  const after: LockedVariant = {
    installer,
    snapshot: image.mirror.snapshot ?? null,
    archives: Object.fromEntries(
      archives.map(({ request: { suite, url }, release: { date, sha256 } }) => [
        suite,
        { url, date: date.toISOString(), sha256 },
      ]),
    ),
    files: {},
    tools: before?.tools ?? buildTools(tools),
    packages: Object.fromEntries(
      [...packages.values()].map((one) => [one.name, lockPackage(one, entries, before)]),
    ),
  }
  return {
    after,
    security: findFixes(before, after, archives),
    knowsStages: ran.every((layer) => layer !== undefined),
  }
}

// --- internal ---

/** A package; `isOfStage` if a stage, not the installer, installs it. */
interface Expected extends PredictedPackage {
  readonly isOfStage?: boolean
}

interface Change {
  readonly added: readonly { readonly name: string; readonly version: string }[]
  readonly removed: readonly { readonly name: string }[]
}

function afterStages(
  predicted: readonly PredictedPackage[],
  changes: readonly Change[],
): ReadonlyMap<string, Expected> {
  const packages = new Map<string, Expected>(predicted.map((one) => [one.name, one]))
  for (const { added, removed } of changes) {
    for (const { name } of removed) packages.delete(name)
    for (const { name, version } of added)
      if (!packages.has(name)) packages.set(name, { name, version, architecture: '', isOfStage: true })
  }
  return packages
}

interface Entries {
  readonly all: ReadonlyMap<string, IndexEntry>
  /** By name. */
  readonly newest: ReadonlyMap<string, IndexEntry>
}

function readEntries(archives: readonly LoadedArchive[], names: ReadonlySet<string>): Entries {
  const all = new Map<string, IndexEntry>()
  const newest = new Map<string, IndexEntry>()
  for (const { text } of archives.flatMap(({ indexes }) => indexes)) {
    for (const entry of parseIndex(text, names)) {
      all.set(entryKey(entry), entry)
      const known = newest.get(entry.name)
      if (known === undefined || compareVersions(entry.version, known.version) > 0)
        newest.set(entry.name, entry)
    }
  }
  return { all, newest }
}

function lockPackage(
  expected: Expected,
  { all, newest }: Entries,
  before: LockedVariant | undefined,
): LockedVariant['packages'][string] {
  const { name, version, isOfStage = false } = expected
  const entry = isOfStage ? newest.get(name) : all.get(entryKey(expected))
  if (entry !== undefined) {
    const { version, architecture, sha256 } = entry
    return { version, architecture, sha256 }
  }
  // A stage brings its own packages, which no archive has.
  if (isOfStage) return before?.packages[name] ?? { version, architecture: '', sha256: null }
  throw new Error(`apt would install ${name} ${version}, which its indexes do not list`)
}

/** New or upgraded packages for which the security archive has that version, or a newer one than the lock's. */
function findFixes(
  before: LockedVariant | undefined,
  after: LockedVariant,
  archives: readonly LoadedArchive[],
): readonly string[] {
  const old = new Map(Object.entries(before?.packages ?? {}).map(([name, { version }]) => [name, version]))
  const indexes = archives.flatMap(({ indexes }) => indexes)
  const missing = findUpdates(old, indexes).flatMap(({ name, security }) => (security ? [name] : []))
  const added = new Set(Object.keys(after.packages).filter((name) => before !== undefined && !old.has(name)))
  const listed = indexes
    .filter(({ isSecurity }) => isSecurity)
    .flatMap(({ text }) => [...parseIndex(text, added)])
    .flatMap(({ name, version }) => (after.packages[name]?.version === version ? [name] : []))
  return [...new Set([...missing, ...listed])]
    .filter((name) => name in after.packages && after.packages[name]?.version !== old.get(name))
    .sort()
}

function unpredictable(message: string, hint: string): PipelineError {
  return new PipelineError({ code: 'lock-unpredictable', message, hint, exitCode: exitCodes.hostNotFit })
}

/** Layer 0 of a run, by the installer that the image asks for. */

import { join, relative } from 'node:path'
import type { Layout } from '../disk/layout.ts'
import { outFolderAt } from '../host/out-folder.ts'
import type { RunFolder } from '../host/run-folder.ts'
import { noteFolder } from '../host/run-folder.ts'
import { bootstrap } from '../installers/bootstrap/bootstrap.ts'
import { installDebian } from '../installers/debian-installer/debian-installer.ts'
import { startPhases } from '../installers/debian-installer/parts.ts'
import { installerLogs } from '../installers/debian-installer/run.ts'
import type { PackageChange } from '../report/report.ts'
import type { Layer } from '../store/store.ts'
import { accelerate } from './accelerate.ts'
import type { Run } from './run.ts'

/** Makes layer 0, unless the store has it. */
export async function installBase(run: Run): Promise<Layer> {
  const { plan, store, place, emit } = run
  const { base, image } = plan
  if (base.cached !== undefined) return base.cached
  emit({ kind: 'part-started', name: 'base', estimateSeconds: run.estimates.of('base') })
  const started = performance.now()
  await store.remove(base.key)
  const installed = image.installer === 'bootstrap' ? await runBootstrap(run) : await runDebianInstaller(run)
  const seconds = Math.round(performance.now() - started) / 1000
  const { packages, layout, installerFiles, log } = installed
  const layer = await store.commit({
    key: base.key,
    name: base.name,
    parent: null,
    parts: base.parts,
    createdAt: new Date().toISOString(),
    buildTimeSeconds: seconds,
    log: relative(place.outFolder, log),
    artifacts: [],
    packages,
    ...(layout === undefined ? {} : { layout }),
    ...(installerFiles === undefined ? {} : { installerFiles }),
    bytesWritten: 0,
    tools: run.tools.versions,
  })
  emit({ kind: 'part-finished', name: 'base', seconds, text: `${packages.added.length} packages` })
  return layer
}

interface Installed {
  readonly packages: PackageChange
  /** Absent where the plan has said where partitions lie. */
  readonly layout?: Layout
  readonly installerFiles?: Readonly<Record<string, string>>
  readonly log: string
}

/** Both installers keep downloaded packages there, by apt's names. */
function packageCacheOf(place: RunFolder): string {
  return outFolderAt(place.outFolder).cache.packages
}

async function runBootstrap({ plan, store, place, emit, request }: Run): Promise<Installed> {
  const log = join(place.folder, 'base.log')
  const packages = await bootstrap({
    image: plan.image,
    layout: plan.layout,
    disk: store.disk(plan.base.key),
    packageCache: packageCacheOf(place),
    log,
    runId: place.id,
    onProgress: (text) => emit({ kind: 'part-progress', name: 'base', text }),
    onFolder: (path) => noteFolder(place.folder, path),
    signal: request.signal,
  })
  return { packages, log }
}

/** Each phase of the installer is a part of the run by itself, with its own time. */
async function runDebianInstaller(run: Run): Promise<Installed> {
  const { plan, store, place, emit, request } = run
  const phases = startPhases(run)
  const installed = await installDebian({
    image: plan.image,
    disk: store.disk(plan.base.key),
    place,
    packageCache: packageCacheOf(place),
    packer: run.tools.packer,
    acceleration: (kernel) => accelerate(run, kernel),
    onPhase: phases.enter,
    onProgress: phases.progress,
    onNote: (text) => emit({ kind: 'note', text }),
    onFolder: (path) => noteFolder(place.folder, path),
    signal: request.signal,
  })
  phases.finish()
  return { ...installed, log: installerLogs(place.folder).syslog }
}

/** Makes layer 0 with the image's installer. */

import { relative } from 'node:path'
import { secondsSince } from '../host/elapsed.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { installerOf } from '../installers/index.ts'
import { plural } from '../report/format.ts'
import type { Layer } from '../store/layer-record.ts'
import { accelerate } from './accelerate.ts'
import type { Run } from './run.ts'

/** Returns layer 0. Makes it if the store does not have it. */
export async function installBase(run: Run): Promise<Layer> {
  const { plan, store, runFolder, emit } = run
  const { base, image } = plan
  if (base.cached !== undefined) return base.cached
  emit({ kind: 'part-started', name: 'base', estimateSeconds: run.estimates.of('base') })
  const started = performance.now()
  await store.remove(base.key)
  const { packages, layout, installerFiles, log } = await installerOf(image).install({
    image,
    planned: base.parts,
    layout: plan.layout,
    disk: store.disk(base.key),
    packageCache: outFolderAt(runFolder.outFolder).cache.packages,
    packages: run.request.packages,
    runFolder,
    packer: run.tools.packer,
    acceleration: (kernel) => accelerate(run, kernel),
    emit,
    estimate: run.estimates.of,
    signal: run.request.signal,
  })
  const seconds = secondsSince(started)
  for (const { text } of base.sources) await store.keepSource(Buffer.from(text))
  const layer = await store.commit({
    key: base.key,
    name: base.name,
    parent: null,
    parts: base.parts,
    createdAt: new Date().toISOString(),
    buildTimeSeconds: seconds,
    log: relative(runFolder.outFolder, log),
    artifacts: [],
    packages,
    ...(layout === undefined ? {} : { layout }),
    ...(installerFiles === undefined ? {} : { installerFiles }),
    bytesWritten: 0,
    tools: run.tools.versions,
  })
  emit({ kind: 'part-finished', name: 'base', seconds, text: plural(packages.added.length, 'package') })
  return layer
}

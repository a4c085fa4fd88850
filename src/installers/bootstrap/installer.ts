/** The installer `bootstrap`, as the build sees it. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResolvedImage } from '../../config/resolved.ts'
import { sha256 } from '../../digest.ts'
import { placePartitions } from '../../disk/layout.ts'
import { requireForeign } from '../../host/foreign.ts'
import { noteFolder } from '../../host/run-folder.ts'
import { baseFacts } from '../base-system.ts'
import type { Installer, KeyParts } from '../installer.ts'
import { bootstrap } from './bootstrap.ts'
import { bootstrapCommand, bootstrapScripts, renderCommand } from './command.ts'
import { predictPackages } from './predict.ts'

export const bootstrapInstaller: Installer = {
  name: 'bootstrap',
  placesPartitions: false,
  keyParts,
  predict: predictPackages,
  preflight: ({ arch }) => requireForeign(arch),
  install: async ({ image, layout, disk, packageCache, packages: set, runFolder, emit, signal }) => {
    const log = join(runFolder.path, 'base.log')
    const packages = await bootstrap({
      image,
      layout,
      disk,
      packageCache,
      packages: set,
      log,
      runId: runFolder.id,
      onProgress: (text) => emit({ kind: 'part-progress', name: 'base', text }),
      onNote: (text) => emit({ kind: 'note', text }),
      onFolder: (path) => noteFolder(runFolder.path, path),
      signal,
    })
    return { packages, log }
  },
  takesPackages: true,
  needsWorkFolder: true,
}

/** Placeholders for what a run chooses, and for the disk's identity, which is derived from the key. */
const stand = { scripts: 'scripts', packageCache: 'packages', disk: 'disk.raw', identity: 'layer 0' } as const

async function keyParts(image: ResolvedImage): Promise<KeyParts> {
  const layout = placePartitions(image.disk, stand.identity)
  const command = renderCommand(bootstrapCommand(image, layout, stand))
  const scripts = await Promise.all(
    bootstrapScripts(image).map(async (url) => ({
      name: url.pathname.split('/').at(-1) ?? '',
      text: await readFile(url, 'utf8'),
    })),
  )
  const { udebs: _udebs, ...mirror } = image.mirror
  return {
    parts: {
      ...baseFacts(image),
      mirror: JSON.parse(JSON.stringify(mirror)),
      scripts: scripts.map(({ text }) => sha256(text)),
      command: sha256(command),
    },
    sources: [...scripts, { name: 'the command of mmdebstrap', text: command }],
  }
}

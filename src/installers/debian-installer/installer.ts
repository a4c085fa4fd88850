/** The installer `debian-installer`, as the build sees it. */

import type { ResolvedImage } from '../../config/resolved.ts'
import { sha256 } from '../../digest.ts'
import { noteFolder } from '../../host/run-folder.ts'
import { baseFacts } from '../base-system.ts'
import type { InstalledBase, Installer, InstallRequest, KeyParts } from '../installer.ts'
import { installDebian } from './debian-installer.ts'
import { renderImagePreseed } from './image-preseed.ts'
import { hostAddress, httpPortPlaceholder } from './machine.ts'
import { requirePartmanNumbers } from './partman-recipe.ts'
import { startPhases } from './parts.ts'
import { installerKernelArguments } from './preseed.ts'
import { renderInstallerFiles } from './render-files.ts'
import { installerLogs } from './run.ts'
import { readinessOfUdebs, requireUdebs } from './udebs.ts'

export const debianInstaller: Installer = {
  name: 'debian-installer',
  placesPartitions: true,
  keyParts: async (image) => keyParts(image),
  readiness: readinessOfUdebs,
  preflight: async (image, signal) => {
    requirePartmanNumbers(image.disk)
    await requireUdebs(image, signal)
  },
  install,
  renderFiles: renderInstallerFiles,
}

/** Placeholder for the port where a run receives the installer's syslog. */
const syslogPort = 5514

function keyParts(image: ResolvedImage): KeyParts {
  const preseed = renderImagePreseed(image)
  const host = { address: hostAddress, httpPort: httpPortPlaceholder, syslogPort }
  const command = `${installerKernelArguments(image, host).join('\n')}\n`
  const { iso } = image.debianInstaller
  return {
    parts: {
      ...baseFacts(image),
      mirror: JSON.parse(JSON.stringify(image.mirror)),
      ...(iso === undefined ? {} : { medium: iso.sha256 }),
      scripts: [sha256(preseed)],
      command: sha256(command),
    },
    sources: [
      { name: 'preseed.cfg', text: preseed },
      { name: "the installer's kernel arguments", text: command },
    ],
  }
}

/** Reports each phase of the installer as a timed part of the run. */
async function install(request: InstallRequest): Promise<InstalledBase> {
  const { runFolder, emit } = request
  let isEmulated = false
  const phases = startPhases({ emit, estimate: request.estimate, isEmulated: () => isEmulated })
  const installed = await installDebian({
    image: request.image,
    disk: request.disk,
    runFolder,
    packageCache: request.packageCache,
    packer: request.packer,
    acceleration: async (kernel) => {
      const acceleration = await request.acceleration(kernel)
      isEmulated = acceleration.accelerator === 'tcg'
      return acceleration
    },
    onPhase: phases.enter,
    onProgress: phases.progress,
    onNote: (text) => emit({ kind: 'note', text }),
    onFolder: (path) => noteFolder(runFolder.path, path),
    signal: request.signal,
  })
  phases.finish()
  return { ...installed, log: installerLogs(runFolder.path).syslog }
}

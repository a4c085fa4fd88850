/** The files that a build renders, with stand-ins for what only a run knows. For people to read, and for the tests. */

import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { renderInstallerTemplate } from '../build/installer/hcl.ts'
import { hostAddress, httpPortPlaceholder, installerMachineArguments } from '../build/installer/machine.ts'
import { buildUnit } from '../build/kit.ts'
import { buildKernelArguments, machineArguments } from '../build/machine.ts'
import { type PackerDialect, renderPackerTemplate } from '../build/packer-hcl.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { renderImagePreseed } from '../install/image-preseed.ts'
import { installerKernelArguments } from '../install/preseed.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))

/** Renders `build.pkr.hcl`, `installer.pkr.hcl` and `preseed.cfg`. Paths are relative to the project's folder; `run/` stands for the run's. */
export function renderFiles(image: ResolvedImage, dialect: PackerDialect): Readonly<Record<string, string>> {
  const template = renderPackerTemplate({
    variant: image.variant,
    dialect,
    dummyDisk: 'run/dummy.qcow2',
    dummyDigest: `sha256:${'0'.repeat(64)}`,
    outputFolder: 'run/output',
    machineName: image.name,
    accelerator: 'kvm',
    machineArguments: machineArguments({
      ...image.machine,
      accelerator: 'kvm',
      cpu: 'host',
      disk: 'run/disk.qcow2',
      kernel: 'run/kernel',
      initrd: 'run/initrd',
      kernelArguments: buildKernelArguments('00000000-0000-4000-8000-000000000000', buildUnit),
      serialLog: 'run/serial.log',
      qmpSocket: 'run/qmp',
      channelSocket: 'run/channel',
    }),
    privateKey: 'run/key',
    bootTimeoutSeconds: image.machine.bootTimeoutSeconds,
    stages: image.stages.map((stage) => ({ ...stage, script: relative(project, stage.script) })),
    checkpointCommand: (stage) => `node checkpoint-client.js run/checkpoint ${stage}`,
  })
  const installer = renderInstallerTemplate({
    variant: image.variant,
    dialect,
    dummyDisk: 'run/dummy.qcow2',
    dummyDigest: `sha256:${'0'.repeat(64)}`,
    outputFolder: 'run/output',
    machineName: image.name,
    httpFolder: 'http',
    accelerator: 'kvm',
    machineArguments: installerMachineArguments({
      ...image.machine,
      accelerator: 'kvm',
      cpu: 'host',
      disk: 'run/disk.qcow2',
      kernel: 'run/linux',
      initrd: 'run/initrd.gz',
      kernelArguments: installerKernelArguments(image, {
        address: hostAddress,
        httpPort: httpPortPlaceholder,
        syslogPort: 5514,
      }),
      medium: undefined,
      serialLog: 'run/serial.log',
      qmpSocket: 'run/qmp',
    }),
  })
  const preseed = renderImagePreseed(image)
  return { 'build.pkr.hcl': template, 'installer.pkr.hcl': installer, 'preseed.cfg': preseed }
}

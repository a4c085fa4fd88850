/** The input files of an installation, for people and for tests. Placeholders stand for values that only a run knows. */

import type { ResolvedImage } from '../../config/resolved.ts'
import { type PackerDialect, placeholderBuild } from '../../packer/template.ts'
import { qemuArguments } from '../../qemu/arguments.ts'
import { renderInstallerTemplate } from './hcl.ts'
import { renderImagePreseed } from './image-preseed.ts'
import { hostAddress, httpPortPlaceholder, installerMachine } from './machine.ts'
import { installerKernelArguments } from './preseed.ts'

/** Renders `installer.pkr.hcl` and `preseed.cfg`; `run/` stands for the run's folder. */
export function renderInstallerFiles(
  image: ResolvedImage,
  dialect: PackerDialect,
): Readonly<Record<string, string>> {
  const template = renderInstallerTemplate({
    ...placeholderBuild(image, dialect),
    httpFolder: 'http',
    machineArguments: qemuArguments(
      installerMachine({
        ...image.machine,
        arch: image.arch,
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
    ),
  })
  return { 'installer.pkr.hcl': template, 'preseed.cfg': renderImagePreseed(image) }
}

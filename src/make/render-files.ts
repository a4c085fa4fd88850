/** The files that a build renders, with placeholders for values that only a run knows. For people and for tests. */

import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ResolvedImage } from '../config/resolved.ts'
import { installers } from '../installers/index.ts'
import { type PackerDialect, placeholderBuild, renderPackerTemplate } from '../packer/template.ts'
import { qemuArguments } from '../qemu/arguments.ts'
import { buildUnit } from '../stages/agent.ts'
import { buildKernelArguments, buildMachine } from '../stages/build-machine.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))

/** Renders `build.pkr.hcl` and the installers' files. Paths are relative to the project; `run/` is the run folder. */
export function renderFiles(image: ResolvedImage, dialect: PackerDialect): Readonly<Record<string, string>> {
  const template = renderPackerTemplate({
    ...placeholderBuild(image, dialect),
    machineArguments: qemuArguments(
      buildMachine({
        ...image.machine,
        arch: image.arch,
        accelerator: 'kvm',
        cpu: 'host',
        disk: 'run/disk.qcow2',
        kernel: 'run/kernel',
        initrd: 'run/initrd',
        kernelArguments: buildKernelArguments(image.arch, '00000000-0000-4000-8000-000000000000', buildUnit),
        serialLog: 'run/serial.log',
        qmpSocket: 'run/qmp',
        channelSocket: 'run/channel',
        isOpen: image.stages.some(({ network }) => network),
      }),
    ),
    privateKey: 'run/key',
    bootTimeoutSeconds: image.machine.bootTimeoutSeconds,
    stages: image.stages.map((stage) => ({ ...stage, script: relative(project, stage.script) })),
    checkpointCommand: (stage) => `node checkpoint-client.js run/checkpoint ${stage}`,
  })
  const ofInstallers = installers.map((installer) => installer.renderFiles?.(image, dialect) ?? {})
  return Object.assign({ 'build.pkr.hcl': template }, ...ofInstallers)
}

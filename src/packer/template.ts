/** The Packer template of one run: a machine, and one provisioner for each stage to run. */

import type { Arch } from '../arch.ts'
import type { ResolvedStage } from '../config/resolved.ts'
import type { QemuArguments } from '../qemu/arguments.ts'
import { longestStretch } from '../qemu/guest-clock.ts'
import { renderTemplate } from '../template.ts'
import { secretsOf, secretVariables } from './secrets.ts'

/**
 * Packer's two dialects: 1.6, where the QEMU builder is built in, and 1.7 or newer, where it is a plugin that the template
 * must declare.
 */
export type PackerDialect = '1.6' | '1.7'

/** Versions of the QEMU plugin that this template was written for. */
export const pluginVersion = '>= 1.1.0'

/** What every template here declares: a machine, and the dummy disk that Packer requires. */
export interface PackerBuild {
  readonly variant: string
  readonly dialect: PackerDialect
  readonly dummyDisk: string
  /** sha256 of the dummy disk. */
  readonly dummyDigest: string
  readonly outputFolder: string
  readonly machineName: string
  readonly arch: Arch
  readonly accelerator: string
  readonly machineArguments: QemuArguments
}

/** Placeholders for values that only a run knows, for templates that people read. `run/` is the run's folder. */
export function placeholderBuild(
  { variant, name, arch }: { readonly variant: string; readonly name: string; readonly arch: Arch },
  dialect: PackerDialect,
): Omit<PackerBuild, 'machineArguments'> {
  return {
    variant,
    dialect,
    dummyDisk: 'run/dummy.qcow2',
    dummyDigest: `sha256:${'0'.repeat(64)}`,
    outputFolder: 'run/output',
    machineName: name,
    arch,
    accelerator: 'kvm',
  }
}

export interface PackerView extends PackerBuild {
  readonly privateKey: string
  readonly bootTimeoutSeconds: number
  readonly stages: readonly ResolvedStage[]
  /** Whether a stage may wait for a person. */
  readonly isPatient?: boolean
  /** Host command that seals a stage's layer and returns once that is done; `opening` comes before the first stage. */
  readonly checkpointCommand: (stage: string) => string
}

/** The checkpoint command's argument before the first stage; no stage can have this name. */
export const opening = '@opening'

/** Renders `build.pkr.hcl`. The last stage has no checkpoint: its layer is sealed after the guest has shut down. */
export function renderPackerTemplate(view: PackerView): string {
  const last = view.stages.at(-1)
  return renderTemplate(
    'build.pkr.hcl.hbs',
    {
      ...view,
      program: programOf(view.arch),
      pluginVersion: view.dialect === '1.6' ? false : pluginVersion,
      // Packer counts the host's time, and must not end what our own watch over the guest's time has not ended.
      bootTimeout: `${view.bootTimeoutSeconds * longestStretch}s`,
      opening: view.checkpointCommand(opening),
      secrets: Object.keys(secretVariables(secretsOf(view.stages))),
      stages: view.stages.map((stage) => ({
        summary: `${stage.name}: ${stage.summary}`,
        script: stage.script,
        executeCommand: `sh /run/systemvm-build/stage.sh ${stage.name} {{ .Path }}`,
        // The build enforces the stage's timeout itself; this one is for when it cannot.
        timeout: view.isPatient ? '24h' : `${stage.timeoutSeconds * longestStretch + 60}s`,
        checkpoint: stage === last ? false : view.checkpointCommand(stage.name),
      })),
    },
    { hcl: hclString, comment: oneLine },
  )
}

/** QEMU's program; false if Packer starts it by default. */
export function programOf(arch: Arch): string | false {
  return arch === 'x86_64' ? false : `qemu-system-${arch}`
}

/** A text as an HCL string literal: like JSON, but without the two escapes that HCL lacks, and without interpolation. */
export function hclString(value: unknown): string {
  const lacking: Readonly<Record<string, string>> = { '\\b': '\\u0008', '\\f': '\\u000c' }
  return JSON.stringify(String(value))
    .replaceAll(/\\./g, (pair) => lacking[pair] ?? pair)
    .replaceAll(/[$%](?=\{)/g, (sign) => sign + sign)
}

function oneLine(value: unknown): string {
  return String(value).replaceAll(/\s+/g, ' ')
}

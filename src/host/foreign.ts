/** Whether this host can run another architecture's programs by emulation. */

import { readFile } from 'node:fs/promises'
import { type Arch, archs } from '../arch.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { bareEnvironment } from './bare-environment.ts'
import { execa } from './execa.ts'

/** Whether this host can run an architecture's programs only by emulation. */
export function isForeign(arch: Arch): boolean {
  return archs[arch].nodeArch !== process.arch
}

/**
 * Runs a program of an architecture, the way the kernel would.
 * @param path search path for `arch-test` @default the environment's `PATH`
 * @returns what is wrong, in one line; undefined if the program ran
 */
export async function foreignFault(arch: Arch, path = process.env.PATH ?? ''): Promise<string | undefined> {
  const { debianArch } = archs[arch]
  const result = await execa('arch-test', [debianArch], {
    reject: false,
    stdin: 'ignore',
    timeout: 20_000,
    ...bareEnvironment({ PATH: path }),
  })
  if (!result.failed) return undefined
  return `no program of ${debianArch} runs here: ${await describeHandler(arch)}`
}

/** @throws PipelineError `foreign-programs` */
export async function requireForeign(arch: Arch): Promise<void> {
  if (!isForeign(arch)) return
  const fault = await foreignFault(arch)
  if (fault === undefined) return
  throw new PipelineError({
    code: 'foreign-programs',
    message: `layer 0 of ${arch} cannot be made: ${fault}`,
    hint: foreignAdvice(arch),
    exitCode: exitCodes.hostNotFit,
  })
}

export function foreignAdvice(arch: Arch): string {
  return `install qemu-user-static and binfmt-support with "npm run setup -- --yes --arch ${arch}", then: sudo update-binfmts --enable qemu-${arch}. A container uses what its host has registered.`
}

// --- internal ---

/** How such programs are registered with the kernel. */
async function describeHandler(arch: Arch): Promise<string> {
  const file = `/proc/sys/fs/binfmt_misc/qemu-${arch}`
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return `nothing is registered in ${file}`
  const interpreter = /^interpreter (.*)$/m.exec(text)?.[1] ?? 'none'
  if (!/^enabled$/m.test(text)) return `${file} is disabled`
  return `${file} names ${interpreter}, which does not run them`
}

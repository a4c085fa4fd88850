/** Whether this host really runs guests with KVM, determined by booting a Linux kernel. */

import { access, constants, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Arch, archs } from '../arch.ts'
import { sha256 } from '../digest.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { canAccess, makeFolder, writeDurably } from '../host/files.ts'
import { readRecord } from '../host/json-file.ts'
import { readRegular } from '../host/regular-file.ts'
import { findProgram } from '../host/tools.ts'
import { lineOf } from '../text.ts'
import { bootKernel, createMachine } from './kvm-probe.ts'
import type { Acceleration, Accelerator } from './machine.ts'

/**
 * How many processors a guest gets of those that were asked for. An emulated one gets one: scripts hardly use a second, which
 * makes each process that they start take twice as long, since emulated processors stop each other to change page tables.
 */
export function guestCpus(accelerator: Accelerator, wanted: number): number {
  return accelerator === 'kvm' ? wanted : 1
}

/**
 * How often an emulated guest may boot before a panic counts. With several processors, QEMU's emulation trips over a kernel
 * that patches itself while another executes it (`Oops: int3`): about once in a hundred boots, on busy hosts twice in a row.
 */
export const bootsOfEmulatedGuest = 5

/** How to run guests here. */
export interface AcceleratorChoice extends Acceleration {
  /** The reason, in one line; with TCG it ends with how to get KVM working, if that is possible. */
  readonly reason: string
  /** Whether the choice is certain. False if no kernel was readable, or if the choice was forced. */
  readonly proven: boolean
}

export interface AcceleratorInput {
  readonly arch: Arch
  /** Linux kernel images to boot, best first; this host's come after them. May be empty. */
  readonly kernels: readonly string[]
  /** Folder that remembers the answer until the host reboots. */
  readonly cacheDir: string
  /** The user's choice: nothing is probed. */
  readonly force?: Accelerator | undefined
  /** Search path for QEMU. @default the environment's `PATH` */
  readonly path?: string | undefined
  /** Paths that describe the host; tests use their own folders. */
  readonly host?: Partial<HostPaths> | undefined
  readonly signal?: AbortSignal | undefined
}

/** Paths that the answer depends on. */
export interface HostPaths {
  readonly kvm: string
  readonly boot: string
  readonly bootId: string
}

const hostPaths: HostPaths = { kvm: '/dev/kvm', boot: '/boot', bootId: '/proc/sys/kernel/random/boot_id' }

/**
 * Decides between KVM and emulation. A writable `/dev/kvm` proves nothing: on some nested hosts a virtual machine can be
 * created and even runs a boot sector, while every Linux kernel hangs in its decompressor. So this boots a kernel, for at
 * most 5 s, until it prints its version.
 * @throws PipelineError `qemu-missing`
 */
export async function chooseAccelerator(input: AcceleratorInput): Promise<AcceleratorChoice> {
  const host = { ...hostPaths, ...input.host }
  if (input.force === 'tcg') return tcg(input.arch, 'chosen by hand', false)
  if (input.force === 'kvm') return kvm(input.arch, 'chosen by hand', false)
  // Guests whose architecture differs from the host's are always emulated.
  if (process.arch !== archs[input.arch].nodeArch) {
    return tcg(input.arch, `this host is ${process.arch}, so ${input.arch} is emulated`, true)
  }
  const obstacle = await deviceObstacle(host.kvm)
  if (obstacle !== undefined) return tcg(input.arch, obstacle, true)
  const program = `qemu-system-${input.arch}`
  const qemu = await findProgram(program, input.path)
  if (qemu === undefined) throw qemuMissing(program)

  const kernel = await firstReadable([...input.kernels, ...(await bootKernels(host.boot))])
  if (kernel === undefined) {
    const failed = await createMachine(qemu, input)
    if (failed !== undefined) return tcg(input.arch, `KVM cannot create a virtual machine: ${failed}`, true)
    return tcg(input.arch, 'KVM exists but is not tested: no kernel image to boot can be read yet', false)
  }
  const cache = join(input.cacheDir, `accelerator-${await identity(qemu, kernel, host.bootId)}.json`)
  const known = await readChoice(cache, input.arch)
  if (known !== undefined) return known
  const fault = await bootKernel(qemu, kernel, input)
  const choice =
    fault === undefined ? kvm(input.arch, `KVM booted ${kernel}`, true) : tcg(input.arch, fault, true)
  await writeChoice(cache, choice)
  return choice
}

// --- the device ---

async function deviceObstacle(device: string): Promise<string | undefined> {
  if (!(await canAccess(device))) {
    return `there is no ${device}: enable virtualization in the firmware, or nested virtualization on the host of this machine`
  }
  if (await canAccess(device, constants.R_OK | constants.W_OK)) return undefined
  return `${device} is not writable for this user: run "sudo usermod -aG kvm $USER" and log in again, or give it to everyone by the udev rule KERNEL=="kvm", GROUP="kvm", MODE="0666"`
}

async function bootKernels(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  // Sorted by name, so the newest is last, or nearly so: any will do.
  return names
    .filter((name) => name.startsWith('vmlinuz'))
    .sort()
    .reverse()
    .map((name) => join(folder, name))
}

async function firstReadable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    // Only root can read Ubuntu's kernels.
    const isReadable = await access(path, constants.R_OK)
      .then(async () => (await stat(path)).isFile())
      .catch(() => false)
    if (isReadable) return path
  }
  return undefined
}

function kvm(arch: Arch, reason: string, proven: boolean): AcceleratorChoice {
  return { arch, accelerator: 'kvm', cpu: 'host', reason, proven }
}

function tcg(arch: Arch, reason: string, proven: boolean): AcceleratorChoice {
  return { arch, accelerator: 'tcg', cpu: archs[arch].emulatedCpu, reason, proven }
}

// --- the memory ---

/** Does not store the CPU, which is an argument of QEMU: the accelerator determines it. */
const storedChoice = z.strictObject({ accelerator: z.enum(['kvm', 'tcg']), reason: lineOf(2000) })

/** The answer is valid for one boot of the host, one QEMU and one kernel, which is copied anew for every run. */
async function identity(qemu: string, kernel: string, bootIdPath: string): Promise<string> {
  const { size, mtimeMs } = await stat(qemu)
  const bootId = await readFile(bootIdPath, 'utf8').catch(() => '')
  const facts = [bootId.trim(), `${qemu} ${size} ${mtimeMs}`, sha256(await readRegular(kernel))]
  return sha256(facts.join('\n')).slice(0, 16)
}

/** Undefined if it is missing, or truncated by a crash: in either case, the kernel is booted again. */
async function readChoice(path: string, arch: Arch): Promise<AcceleratorChoice | undefined> {
  const stored = await readRecord(path, storedChoice)
  if (stored === undefined) return undefined
  return stored.accelerator === 'kvm' ? kvm(arch, stored.reason, true) : tcg(arch, stored.reason, true)
}

async function writeChoice(path: string, { accelerator, reason }: AcceleratorChoice): Promise<void> {
  await makeFolder(join(path, '..'))
  await writeDurably(path, `${JSON.stringify({ accelerator, reason })}\n`)
}

function qemuMissing(program: string): PipelineError {
  return new PipelineError({
    code: 'qemu-missing',
    message: `there is no ${program} on this host`,
    hint: 'run "npm run setup -- --yes".',
    exitCode: exitCodes.hostNotFit,
  })
}

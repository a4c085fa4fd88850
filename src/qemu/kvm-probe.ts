/** Tries KVM twice: by creating a machine, and by booting a Linux kernel until it prints its version. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type Arch, archs } from '../arch.ts'
import { execa } from '../host/execa.ts'
import { qemuArguments } from './arguments.ts'
import { cleanText } from './console.ts'
import type { Machine } from './machine.ts'
import { startQemu } from './process.ts'

export interface ProbeOptions {
  readonly arch: Arch
  readonly signal?: AbortSignal | undefined
}

/** A kernel prints its version within a second if KVM works, and never if it does not. */
const limitMs = 5_000
const bootToken = 'Linux version'

function probeMachine(arch: Arch): Omit<Machine, 'serial'> {
  return {
    arch,
    accelerator: 'kvm',
    cpu: 'host',
    memoryMiB: 256,
  }
}

/** Creates a machine and quits at once. Returns what went wrong, in one line, or undefined. */
export async function createMachine(
  program: string,
  { arch, signal }: ProbeOptions,
): Promise<string | undefined> {
  const machine: Machine = { ...probeMachine(arch), serial: 'none', awaits: 'command', monitor: 'stdio' }
  const result = await execa(program, qemuArguments(machine).flat(), {
    reject: false,
    input: 'quit\n',
    timeout: limitMs,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  if (signal?.aborted) throw signal.reason
  return result.failed ? lastLine(result.stderr) || result.shortMessage : undefined
}

/** Boots a kernel, and stops it. Returns why KVM does not work, in one line, or undefined if the kernel booted. */
export async function bootKernel(
  program: string,
  kernel: string,
  { arch, signal }: ProbeOptions,
): Promise<string | undefined> {
  const port = archs[arch].serialPort
  const directBoot = { kernel, arguments: `console=${port} earlyprintk=${port} panic=-1` }
  const said: Record<'stdout' | 'stderr', string> = { stdout: '', stderr: '' }
  const over = new AbortController()
  let hasBooted = false
  const machine: Machine = { ...probeMachine(arch), serial: 'stdio', directBoot }
  const qemu = startQemu(machine, {
    program,
    onLine: (line, from) => {
      const text = cleanText(line).trim()
      if (text !== '') said[from] = text
      if (!text.includes(bootToken)) return
      hasBooted = true
      over.abort()
    },
  })
  const stopped = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal])
  const late = sleep(limitMs, 'late' as const, { signal: stopped }).catch(() => undefined)
  const result = await Promise.race([qemu.ended, late])
  // The guest is hung or no longer needed: stopping it at once loses nothing.
  await qemu.stop()
  await qemu.ended
  over.abort()
  if (signal?.aborted) throw signal.reason
  if (hasBooted) return undefined
  const { stdout: last, stderr } = said
  if (result === 'late') {
    return `KVM hangs: a Linux kernel did not start within ${limitMs / 1000} s${last === '' ? '' : `, last "${last}"`}; common under nested virtualization, where only another host helps`
  }
  const exit = `QEMU ended with ${result?.exitCode ?? result?.signal}`
  return `KVM does not boot a Linux kernel: ${stderr || last || exit}`
}

function lastLine(text: string): string {
  return text.trim().split(/\r?\n/).at(-1)?.trim() ?? ''
}

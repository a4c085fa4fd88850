/** The key of a saved state of a guest. */

import { readFile } from 'node:fs/promises'
import { canonicalJson, sha256 } from '../digest.ts'
import { qemuArguments } from '../qemu/arguments.ts'
import type { Acceleration } from '../qemu/machine.ts'
import { buildUnit, readFixedFiles } from './agent.ts'
import { buildKernelArguments, buildMachine } from './build-machine.ts'

/** What a saved state depends on in addition to the disk: no other machine could resume from it. */
export interface StateMachine extends Acceleration {
  readonly cpus: number
  readonly memoryMiB: number
  readonly qemuVersion: string
}

/** Raised when a change in the engine makes earlier states useless. */
const stateFormat = 1

/** Key of the state of a machine on a layer. */
export async function keyOfState(machine: StateMachine, layer: string): Promise<string> {
  const { qemuVersion, ...definition } = machine
  const none = {
    disk: '',
    kernel: '',
    initrd: '',
    kernelArguments: buildKernelArguments(machine.arch, '', buildUnit),
    serialLog: '',
    qmpSocket: '',
  }
  const parts = {
    format: stateFormat,
    layer,
    qemuVersion,
    // Whatever is connected to the network card is not part of the guest.
    machine: qemuArguments(
      buildMachine({ ...definition, ...none, channelSocket: '', isOpen: true }),
    ) as string[][],
    // With `-cpu host`, the machine depends on the host's CPU.
    host: machine.accelerator === 'kvm' ? await describeHostCpu() : '',
    agent: [...(await readFixedFiles())].map(([path, content]) => [path, sha256(content)]),
  }
  return sha256(canonicalJson(parts))
}

async function describeHostCpu(): Promise<string> {
  const lines = (await readFile('/proc/cpuinfo', 'utf8')).split('\n')
  return ['vendor_id', 'model name', 'stepping', 'microcode', 'flags']
    .map((name) => lines.find((line) => line.startsWith(name)) ?? '')
    .join('\n')
}

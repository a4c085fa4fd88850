/** What the machines that Packer runs have in common. */

import { type Acceleration, diskId, type GuestNetwork, type Machine } from '../qemu/machine.ts'

/** Settings of both a stage's and an installer's machine. */
export interface PackerMachine extends Acceleration {
  readonly cpus: number
  readonly memoryMiB: number
  /** The qcow2 that takes the writes. */
  readonly disk: string
  readonly kernel: string
  readonly initrd: string
  readonly kernelArguments: readonly string[]
  /** File that the serial console is written to. */
  readonly serialLog: string
  /** Path of the QMP socket. */
  readonly qmpSocket: string
}

/** Packer's placeholder for the host's SSH port: Packer finds a free one and reserves it. */
export const sshPortPlaceholder = '{{ .SSHHostPort }}'

/** Describes a machine without a screen, with one disk, and a network card in `network`. */
export function packerMachine(machine: PackerMachine, network: GuestNetwork): Machine {
  const { arch, accelerator, cpu, cpus, memoryMiB, disk, kernel, initrd, kernelArguments, qmpSocket } =
    machine
  return {
    arch,
    accelerator,
    cpu,
    cpus,
    memoryMiB,
    disk: { backend: { drive: disk }, devices: [`virtio-blk-pci,drive=${diskId}`] },
    cards: [{ device: 'virtio-net-pci', network }],
    hasEntropySource: true,
    serial: { file: machine.serialLog },
    qmpSocket,
    directBoot: { kernel, initrd, arguments: kernelArguments.join(' ') },
  }
}

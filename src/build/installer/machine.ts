/** The virtual machine that debian-installer runs in, as arguments of QEMU. */

import { type Acceleration, diskDevice, escapeValue } from '../machine.ts'

/** How the guest of QEMU's user network sees the loopback address of its host. */
export const hostAddress = '10.0.2.2'

/** Packer's own word for the port of its HTTP server, in its arguments for QEMU. */
export const httpPortPlaceholder = '{{.HTTPPort}}'

export interface InstallerMachine extends Acceleration {
  readonly cpus: number
  readonly memoryMiB: number
  /** The qcow2 that is installed on. */
  readonly disk: string
  readonly kernel: string
  readonly initrd: string
  readonly kernelArguments: readonly string[]
  /** A medium in the drive, for an installer that comes from one. */
  readonly medium: string | undefined
  /** File that the serial console is written to. */
  readonly serialLog: string
  /** Path of the QMP socket. */
  readonly qmpSocket: string
}

/** Pairs of option and value, in the form that Packer's `qemuargs` takes; they replace Packer's own of that name. */
export function installerMachineArguments(machine: InstallerMachine): readonly (readonly string[])[] {
  // An installation that is cut short is begun again: nothing has to be on the host's disk before its end.
  const cache = 'cache=unsafe,discard=unmap,detect-zeroes=unmap'
  const { medium } = machine
  return [
    ['-nodefaults'],
    // Whoever asks for a reboot has not powered off, and would begin again.
    ['-no-reboot'],
    ['-machine', `type=pc,accel=${machine.accelerator}`],
    ['-cpu', machine.cpu],
    ['-smp', `${machine.cpus}`],
    ['-m', `${machine.memoryMiB}M`],
    ['-drive', `if=none,id=${diskDevice},file=${escapeValue(machine.disk)},format=qcow2,${cache}`],
    ['-device', `virtio-blk-pci,drive=${diskDevice}`],
    ...(medium === undefined ? [] : [['-cdrom', medium]]),
    // Nobody gets in, and the guest gets out to the mirror, the preseed and the receiver of its syslog.
    ['-netdev', 'user,id=net0'],
    ['-device', 'virtio-net-pci,netdev=net0,romfile='],
    ['-device', 'virtio-rng-pci'],
    ['-chardev', `file,id=serial0,path=${escapeValue(machine.serialLog)}`],
    ['-serial', 'chardev:serial0'],
    ['-qmp', `unix:${escapeValue(machine.qmpSocket)},server=on,wait=off`],
    ['-kernel', machine.kernel],
    ['-initrd', machine.initrd],
    ['-append', machine.kernelArguments.join(' ')],
    ['-display', 'none'],
    // Packer's own is a server on the loopback address, without a password.
    ['-vnc', 'none'],
  ]
}

/** The virtual machine that debian-installer runs in, as arguments of QEMU. */

import { type HeadlessMachine, headlessArguments, type QemuArguments } from '../../qemu/machine.ts'

/** How the guest of QEMU's user network sees the loopback address of its host. */
export const hostAddress = '10.0.2.2'

/** Packer's own word for the port of its HTTP server, in its arguments for QEMU. */
export const httpPortPlaceholder = '{{.HTTPPort}}'

export interface InstallerMachine extends HeadlessMachine {
  /** A medium in the drive, for an installer that comes from one. */
  readonly medium: string | undefined
}

export function installerMachineArguments(machine: InstallerMachine): QemuArguments {
  const { medium } = machine
  return [
    ...headlessArguments(machine),
    // Nobody gets in, and the guest gets out to the mirror, the preseed and the receiver of its syslog.
    ['-netdev', 'user,id=net0'],
    ...(medium === undefined ? [] : [['-cdrom', medium]]),
  ]
}

/** The virtual machine that debian-installer runs in. */

import { type PackerMachine, packerMachine } from '../../packer/machine.ts'
import type { Machine } from '../../qemu/machine.ts'

/** How the guest of QEMU's user network sees the loopback address of its host. */
export const hostAddress = '10.0.2.2'

/** Packer's own word for the port of its HTTP server, in its arguments for QEMU. */
export const httpPortPlaceholder = '{{.HTTPPort}}'

export interface InstallerMachine extends PackerMachine {
  /** A medium in the drive, for an installer that comes from one. */
  readonly medium: string | undefined
}

export function installerMachine({ medium, ...machine }: InstallerMachine): Machine {
  // No one gets in, and the guest gets out to the mirror, the preseed and the receiver of its syslog.
  return { ...packerMachine(machine, { isOpen: true }), disc: medium }
}

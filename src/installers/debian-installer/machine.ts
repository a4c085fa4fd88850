/** The virtual machine that debian-installer runs in. */

import { type PackerMachine, packerMachine } from '../../packer/machine.ts'
import type { Machine } from '../../qemu/machine.ts'

/** The host's loopback address, as a guest in QEMU's user network sees it. */
export const hostAddress = '10.0.2.2'

/** Packer's placeholder for its HTTP port, in arguments for QEMU. */
export const httpPortPlaceholder = '{{.HTTPPort}}'

export interface InstallerMachine extends PackerMachine {
  /** A disc to put in the drive, for an installer that needs one. */
  readonly medium: string | undefined
}

export function installerMachine({ medium, ...machine }: InstallerMachine): Machine {
  // Nothing can reach the guest; the guest can reach the mirror, the preseed and the syslog receiver.
  return { ...packerMachine(machine, { isOpen: true }), disc: medium }
}

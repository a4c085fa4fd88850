/** The virtual machine that stages run in. */

import { type Arch, archs } from '../arch.ts'
import { type PackerMachine, packerMachine, sshPortPlaceholder } from '../packer/machine.ts'
import { guestCpus } from '../qemu/accelerator.ts'
import type { Machine, PortForward } from '../qemu/machine.ts'

export interface BuildMachine extends PackerMachine {
  /** Path of the socket for the guest's end of the build channel. */
  readonly channelSocket: string
  /** SSH port on 127.0.0.1. @default Packer's placeholder */
  readonly sshPort?: PortForward['hostPort']
  /** Whether to wait for a saved state instead of booting. */
  readonly awaitsState?: boolean
  /** Whether the guest can reach the mirror, and with it every network of this host. */
  readonly isOpen: boolean
}

/** Name of the virtio port on which the host asks the guest to freeze. */
export const channelPort = 'org.systemvm-image.build'

export function buildMachine({
  channelSocket,
  sshPort: hostPort = sshPortPlaceholder,
  awaitsState = false,
  isOpen,
  ...machine
}: BuildMachine): Machine {
  const forward = { hostPort, guestPort: 22 }
  const sized = { ...machine, cpus: guestCpus(machine.accelerator, machine.cpus) }
  return {
    ...packerMachine(sized, isOpen ? { isOpen, forward } : { ...addresses, forward }),
    hasBalloon: true,
    savesStates: true,
    ports: [{ id: 'channel0', name: channelPort, socket: channelSocket }],
    awaits: awaitsState ? 'state' : undefined,
  }
}

/** The host's loopback address, as the guest sees it in an open network. */
export const hostAddress = '10.0.2.2'

/** QEMU's default addresses, which the guest has configured by itself. */
const addresses = { network: '10.0.2.0/24', host: hostAddress }

/**
 * Kernel arguments of a guest during a build: a small target, our own unit, and none of what a first boot would write to the
 * disk (its random seed, its machine id).
 * @param rootUuid UUID of the root filesystem
 */
export function buildKernelArguments(arch: Arch, rootUuid: string, unit: string): readonly string[] {
  const masked = [
    'systemd-random-seed.service',
    'systemd-machine-id-commit.service',
    'systemd-timesyncd.service',
    'apparmor.service',
    'console-setup.service',
    'keyboard-setup.service',
    // For a guest that is resumed with its network configured: DHCP would write its response into the image.
    'ifup@eth0.service',
    // No timer may fire during a stage, least of all apt's own update.
    'timers.target',
  ]
  return [
    `root=UUID=${rootUuid}`,
    // Mounted read-only first; otherwise systemd would write a generated machine id to /etc.
    'ro',
    `console=${archs[arch].serialConsole}`,
    'net.ifnames=0',
    'biosdevname=0',
    'systemd.unit=basic.target',
    `systemd.wants=${unit}`,
    ...masked.map((name) => `systemd.mask=${name}`),
    'apparmor=0',
    // The guest runs only our own scripts: mitigations would cost time for nothing.
    'mitigations=off',
    // On ARM, a kernel at a random address isolates its page tables nevertheless, and QEMU flushes its TLB at each system call.
    'nokaslr',
    'loglevel=4',
    'panic=-1',
  ]
}

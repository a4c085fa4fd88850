/** The virtual machine that stages run in. */

import { type PackerMachine, packerMachine, sshPortPlaceholder } from '../packer/machine.ts'
import type { Machine, PortForward } from '../qemu/machine.ts'

export interface BuildMachine extends PackerMachine {
  /** Path of the socket that leads to the guest's end of the build channel. */
  readonly channelSocket: string
  /** Port of 127.0.0.1 for SSH. @default Packer's placeholder */
  readonly sshPort?: PortForward['hostPort']
  /** Whether to wait for a state to resume from, instead of booting. */
  readonly awaitsState?: boolean
}

/** Name of the virtio port over which the host asks the guest to hold still. */
export const channelPort = 'org.systemvm-image.build'

export function buildMachine({
  channelSocket,
  sshPort: hostPort = sshPortPlaceholder,
  awaitsState = false,
  ...machine
}: BuildMachine): Machine {
  return {
    ...packerMachine(machine, { isOpen: true, forward: { hostPort, guestPort: 22 } }),
    hasBalloon: true,
    ports: [{ id: 'channel0', name: channelPort, socket: channelSocket }],
    awaits: awaitsState ? 'state' : undefined,
  }
}

/**
 * Kernel arguments of a guest that is being built: a small target, our own unit, and none of what a first boot
 * would write to the disk (its random seed, its machine id).
 * @param rootUuid UUID of the root filesystem
 */
export function buildKernelArguments(rootUuid: string, unit: string): readonly string[] {
  const masked = [
    'systemd-random-seed.service',
    'systemd-machine-id-commit.service',
    'systemd-timesyncd.service',
    'apparmor.service',
    'console-setup.service',
    'keyboard-setup.service',
    // Of a guest that is resumed after its network was configured: DHCP would write its answer into the image.
    'ifup@eth0.service',
    // No timer may fire while a stage runs, apt's own update least of all.
    'timers.target',
  ]
  return [
    `root=UUID=${rootUuid}`,
    // Mounted read-only first, or systemd would write the machine id that it makes up into /etc.
    'ro',
    'console=ttyS0,115200n8',
    'net.ifnames=0',
    'biosdevname=0',
    'systemd.unit=basic.target',
    `systemd.wants=${unit}`,
    ...masked.map((name) => `systemd.mask=${name}`),
    'apparmor=0',
    // The guest runs our own scripts only: no reason to pay for mitigations.
    'mitigations=off',
    'loglevel=4',
    'panic=-1',
  ]
}

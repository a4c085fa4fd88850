/** The virtual machines that Packer runs, as arguments of QEMU. */

/** How a guest is executed on this host. */
export interface Acceleration {
  readonly accelerator: 'kvm' | 'tcg'
  /** Value of QEMU's `-cpu`. */
  readonly cpu: string
}

/** What is the same of every machine that Packer runs here: no screen, a console in a file, one disk. */
export interface HeadlessMachine extends Acceleration {
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

/** The machine that stages run in. */
export interface BuildMachine extends HeadlessMachine {
  /** Path of the socket that leads to the guest's end of the build channel. */
  readonly channelSocket: string
  /** Whether to wait for a state to wake from, instead of booting. */
  readonly awaitsState?: boolean
}

/** Where the host's port for SSH stands in the arguments: Packer's own word for it. */
export const sshPortPlaceholder = '{{ .SSHHostPort }}'

/** Name of the virtio port over which the host asks the guest to hold still. */
export const channelPort = 'org.systemvm-image.build'

/** Node name of the disk, by which QMP addresses it. */
export const diskDevice = 'disk0'

/** Pairs of option and value, in the form that Packer's `qemuargs` takes; they replace Packer's own of that name. */
export type QemuArguments = readonly (readonly string[])[]

export function headlessArguments(machine: HeadlessMachine): QemuArguments {
  // Nothing in a run survives a power cut of the host but sealed layers, which are flushed when they are sealed.
  const cache = 'cache=unsafe,discard=unmap,detect-zeroes=unmap'
  return [
    ['-nodefaults'],
    ['-no-reboot'],
    ['-machine', `type=pc,accel=${machine.accelerator}`],
    ['-cpu', machine.cpu],
    ['-smp', `${machine.cpus}`],
    ['-m', `${machine.memoryMiB}M`],
    ['-drive', `if=none,id=${diskDevice},file=${escapeValue(machine.disk)},format=qcow2,${cache}`],
    ['-device', `virtio-blk-pci,drive=${diskDevice}`],
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

export function machineArguments(machine: BuildMachine): QemuArguments {
  return [
    ...headlessArguments(machine),
    // Packer fills in the port that it has found free, and holds.
    ['-netdev', `user,id=net0,hostfwd=tcp:127.0.0.1:${sshPortPlaceholder}-:22`],
    // Memory that the guest has freed goes back to the host, and is no part of a saved state.
    ['-device', 'virtio-balloon-pci,free-page-reporting=on'],
    ['-device', 'virtio-serial-pci'],
    ['-chardev', `socket,id=channel0,path=${escapeValue(machine.channelSocket)},server=on,wait=off`],
    ['-device', `virtserialport,chardev=channel0,name=${channelPort}`],
    ...(machine.awaitsState ? [['-incoming', 'defer']] : []),
  ]
}

/** QEMU splits option values at commas; a doubled one stands for itself. */
export function escapeValue(value: string): string {
  return value.replaceAll(',', ',,')
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
    // The guest runs our own scripts and nobody else's: no reason to pay for mitigations.
    'mitigations=off',
    'loglevel=4',
    'panic=-1',
  ]
}

/** Machines like those of each hypervisor, as far as QEMU has their devices: what a file is booted in to be verified. */

import type { BlockNode } from '../disk/disk-source.ts'
import type { Accelerator } from '../qemu/accelerator.ts'
import { escapeValue } from '../qemu/machine.ts'
import type { DeviceModel } from '../targets/device-model.ts'

/** Where a card of the guest's is plugged in. */
export type GuestNetwork = UserNetwork | TapNetwork

/** A network of the guest's, as QEMU's user mode has it: no way out, and in only where a port is forwarded. */
export interface UserNetwork {
  /** e.g. `192.168.5.0/24` */
  readonly network: string
  /** Address of the host in it. */
  readonly host: string
  /** Port of 127.0.0.1 that leads to one of the guest's. */
  readonly forward?: { readonly hostPort: number; readonly guestAddress?: string; readonly guestPort: number }
}

/** An existing tap device of the host's, in the namespace that QEMU runs in: what is behind it is the host's affair. */
export interface TapNetwork {
  readonly tap: string
  readonly mac: string
}

/** A virtio-serial port of the guest's: its name there, and the socket on the host. */
export interface GuestPort {
  readonly name: string
  readonly socket: string
}

export interface GuestMachine {
  readonly model: DeviceModel
  readonly accelerator: Accelerator
  readonly cpu: string
  readonly cpus: number
  readonly memoryMiB: number
  /** Block node of the disk that takes the writes. */
  readonly disk: BlockNode
  readonly networks: readonly GuestNetwork[]
  /** In the order that the guest numbers them. */
  readonly ports: readonly GuestPort[]
  /** File of the serial console, the terminal that this program runs in, or a machine without the port. */
  readonly serial: { readonly file: string } | 'terminal' | 'none'
  /** File of the virtio console, where the model has one. */
  readonly virtioConsoleLog: string
  readonly qmpSocket: string
  /** Strings that the firmware's tables carry for whoever asks. */
  readonly firmwareStrings: readonly string[]
  /** File with the running state to wake up in. */
  readonly incoming?: string | undefined
  /** Absent: the disk's own boot loader starts the kernel that is on it. */
  readonly directBoot?: DirectBoot | undefined
  /** ISO file in a CD drive. */
  readonly disc?: string | undefined
}

/** A kernel that QEMU starts without firmware and boot loader. */
export interface DirectBoot {
  readonly kernel: string
  readonly initrd: string
  readonly arguments: string
}

/** Hardware address of an interface, by its number. */
export function macOf(index: number): string {
  return `52:54:00:5e:00:${(index + 1).toString(16).padStart(2, '0')}`
}

/** QEMU's arguments. */
export function guestArguments(machine: GuestMachine): readonly string[] {
  const { model, accelerator } = machine
  const devices = (list: readonly string[]) => list.flatMap((device) => ['-device', device])
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', `pc,accel=${accelerator}`],
    ...['-cpu', [machine.cpu, ...(model.cpuFeatures?.[accelerator] ?? [])].join(',')],
    ...['-smp', `${machine.cpus}`, '-m', `${machine.memoryMiB}M`],
    ...makerArguments(model),
    ...kernelArguments(machine.directBoot),
    ...machine.firmwareStrings.flatMap((text) => ['-smbios', `type=11,value=${escapeValue(text)}`]),
    // For a picture of the screen where a boot fails.
    ...devices(['VGA']),
    ...['-blockdev', JSON.stringify({ 'node-name': 'disk0', ...machine.disk })],
    ...devices(machine.directBoot === undefined ? model.disk : model.disk.map(withoutBootIndex)),
    ...discArguments(machine.disc),
    ...machine.networks.flatMap((network, index) => networkArguments(network, index, model)),
    ...serialArguments(machine.serial),
    ...devices(['virtio-serial-pci,id=serialbus']),
    ...machine.ports.flatMap(({ name, socket }, index) => [
      '-chardev',
      `socket,id=port${index},path=${escapeValue(socket)},server=on,wait=off`,
      '-device',
      `virtserialport,bus=serialbus.0,nr=${index + 1},chardev=port${index},name=${name}`,
    ]),
    ...(model.hasVirtioConsole === true
      ? [
          '-chardev',
          `file,id=hvc0,path=${escapeValue(machine.virtioConsoleLog)}`,
          ...devices(['virtio-serial-pci,id=consolebus', 'virtconsole,bus=consolebus.0,chardev=hvc0']),
        ]
      : []),
    ...['-qmp', `unix:${escapeValue(machine.qmpSocket)},server=on,wait=off`],
    ...(machine.incoming === undefined ? [] : ['-incoming', `exec:cat ${quote(machine.incoming)}`]),
  ]
}

function serialArguments(serial: GuestMachine['serial']): readonly string[] {
  if (serial === 'none') return ['-serial', 'none']
  if (serial !== 'terminal') {
    return ['-chardev', `file,id=serial0,path=${escapeValue(serial.file)}`, '-serial', 'chardev:serial0']
  }
  // Control-C is for the guest; Control-A X ends QEMU.
  const chardev = 'stdio,id=serial0,mux=on,signal=off'
  return ['-chardev', chardev, '-serial', 'chardev:serial0', '-mon', 'chardev=serial0']
}

/** A kernel that QEMU starts takes the first place in the order of what is booted. */
function withoutBootIndex(device: string): string {
  return device.replace(/,bootindex=0$/, '')
}

function kernelArguments(boot: DirectBoot | undefined): readonly string[] {
  if (boot === undefined) return []
  return ['-kernel', boot.kernel, '-initrd', boot.initrd, '-append', boot.arguments]
}

function discArguments(disc: string | undefined): readonly string[] {
  if (disc === undefined) return []
  const node = {
    'node-name': 'disc0',
    driver: 'raw',
    'read-only': true,
    file: { driver: 'file', filename: disc },
  }
  return ['-blockdev', JSON.stringify(node), '-device', 'ide-cd,bus=ide.1,drive=disc0']
}

function makerArguments({ maker }: DeviceModel): readonly string[] {
  if (maker === undefined) return []
  const { manufacturer, product } = maker
  return ['-smbios', `type=1,manufacturer=${escapeValue(manufacturer)},product=${escapeValue(product)}`]
}

function networkArguments(network: GuestNetwork, index: number, { nic }: DeviceModel): readonly string[] {
  const mac = 'tap' in network ? network.mac : macOf(index)
  return [
    ...['-netdev', 'tap' in network ? tapBackend(network, index) : userBackend(network, index)],
    ...['-device', `${nic},netdev=net${index},mac=${mac},romfile=`],
  ]
}

function tapBackend({ tap }: TapNetwork, index: number): string {
  return `tap,id=net${index},ifname=${tap},script=no,downscript=no`
}

function userBackend({ network, host, forward }: UserNetwork, index: number): string {
  const forwarding =
    forward === undefined
      ? ''
      : `,hostfwd=tcp:127.0.0.1:${forward.hostPort}-${forward.guestAddress ?? ''}:${forward.guestPort}`
  return `user,id=net${index},restrict=on,ipv6=off,net=${network},host=${host}${forwarding}`
}

/** One word of a shell's. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** A machine as QEMU's arguments. */

import { archs } from '../arch.ts'
import {
  type Disk,
  type Drive,
  diskId,
  type Firmware,
  type GuestNetwork,
  type Machine,
  type NetworkCard,
  type PortForward,
  type SerialPort,
  type Uefi,
  type UserNetwork,
  type VirtioPort,
} from './machine.ts'

/** An option and its value, if it has one. Packer's `qemuargs` takes them in this form. */
export type QemuArguments = readonly (readonly string[])[]

/**
 * Renders a machine. QEMU only cares about the order of options with the same name: the guest finds devices in that order.
 * The order of all options is part of the key of saved states.
 */
export function qemuArguments(machine: Machine): QemuArguments {
  const { cpu, cpus, cards = [], directBoot, virtioConsole, monitor, qmpSocket } = machine
  return [
    ['-nodefaults'],
    ['-no-reboot'],
    ['-machine', machineValue(machine)],
    ['-cpu', cpu],
    ...(cpus === undefined ? [] : [['-smp', `${cpus}`]]),
    ['-m', `${machine.memoryMiB}M`],
    ...firmwareArguments(machine.firmware),
    ...uefiArguments(machine.uefi),
    ...(machine.hasScreen === true ? [['-device', archs[machine.arch].screen]] : []),
    ...diskArguments(machine.disk, directBoot !== undefined),
    ...discArguments(machine),
    ...cards.map((card, index) => ['-device', cardDevice(card, index)]),
    ...(machine.hasEntropySource === true ? [['-device', 'virtio-rng-pci']] : []),
    ...serialArguments(machine.serial),
    ...(monitor === undefined ? [] : [['-monitor', monitor]]),
    ...(qmpSocket === undefined ? [] : [['-qmp', `unix:${escapeValue(qmpSocket)},server=on,wait=off`]]),
    ...(directBoot === undefined ? [] : [['-kernel', directBoot.kernel]]),
    ...(directBoot?.initrd === undefined ? [] : [['-initrd', directBoot.initrd]]),
    ...(directBoot === undefined ? [] : [['-append', directBoot.arguments]]),
    ['-display', 'none'],
    // Packer's default is a server on the loopback address, without a password.
    ['-vnc', 'none'],
    ...cards.map(({ network }, index) => ['-netdev', networkBackend(network, index)]),
    ...(machine.hasBalloon === true ? [['-device', 'virtio-balloon-pci,free-page-reporting=on']] : []),
    ...portArguments(machine.ports),
    ...(virtioConsole === undefined ? [] : virtioConsoleArguments(virtioConsole)),
    ...(machine.awaits === 'command' ? [['-S']] : []),
    ...(machine.awaits === 'state' ? [['-incoming', 'defer']] : []),
    ['-sandbox', sandboxValue(machine)],
  ]
}

function machineValue({ arch, accelerator, uefi }: Machine): string {
  const { machine } = archs[arch]
  // Only q35 can keep the operating system out of the firmware's variables, which it could otherwise change to sign for
  // itself.
  const type = uefi?.isSecure === true ? 'q35,smm=on' : machine
  // Its oldest interrupt controller supports no more than 8 processors.
  return `type=${type},accel=${accelerator}${machine === 'virt' ? ',gic-version=max' : ''}`
}

function uefiArguments(uefi: Uefi | undefined): QemuArguments {
  if (uefi === undefined) return []
  const { code, variables, isSecure = false } = uefi
  const flash = (unit: number, file: string) => `if=pflash,unit=${unit},format=raw,${file}`
  return [
    ...(isSecure ? [['-global', 'driver=cfi.pflash01,property=secure,value=on']] : []),
    ['-drive', flash(0, `readonly=on,file=${escapeValue(code)}`)],
    ...(variables === undefined ? [] : [['-drive', flash(1, `file=${escapeValue(variables)}`)]]),
  ]
}

/** A machine without IDE has its CD drive on SCSI, as CloudStack attaches it. */
function discArguments({ arch, disc }: Machine): QemuArguments {
  if (disc === undefined) return []
  if (archs[arch].machine === 'pc') return [['-cdrom', disc]]
  return [
    ['-drive', `if=none,id=disc0,media=cdrom,format=raw,readonly=on,file=${escapeValue(disc)}`],
    ['-device', 'virtio-scsi-pci,id=discs'],
    ['-device', 'scsi-cd,bus=discs.0,drive=disc0'],
  ]
}

/**
 * The same restrictions as libvirt's for every QEMU, except that states pass through a program. That program cannot elevate
 * itself either: the filter sets no_new_privs. `children` would set it again, which fails with Ubuntu 24.04's QEMU.
 */
function sandboxValue({ savesStates = false }: Pick<Machine, 'savesStates'>): string {
  return `on,obsolete=deny,elevateprivileges=deny,${savesStates ? '' : 'spawn=deny,'}resourcecontrol=deny`
}

/** QEMU splits option values at commas; a doubled comma stands for itself. */
export function escapeValue(value: string): string {
  return value.replaceAll(',', ',,')
}

function firmwareArguments({ maker, strings = [] }: Firmware = {}): QemuArguments {
  const system =
    maker === undefined
      ? []
      : [`type=1,manufacturer=${escapeValue(maker.manufacturer)},product=${escapeValue(maker.product)}`]
  const oem = strings.map((text) => `type=11,value=${escapeValue(text)}`)
  return [...system, ...oem].map((table) => ['-smbios', table])
}

function diskArguments(disk: Disk | undefined, isDirectBoot: boolean): QemuArguments {
  if (disk === undefined) return []
  const { backend, devices } = disk
  // With direct boot, the kernel comes first in the boot order, and QEMU refuses a second first entry.
  const attached = isDirectBoot ? devices.map((device) => device.replace(/,bootindex=0$/, '')) : devices
  return [
    isDrive(backend)
      ? ['-drive', driveValue(backend)]
      : ['-blockdev', JSON.stringify({ 'node-name': diskId, ...backend })],
    ...attached.map((device) => ['-device', device]),
  ]
}

const isDrive = (backend: Disk['backend']): backend is Drive => 'drive' in backend

function driveValue({ drive }: Drive): string {
  // Only sealed layers have to survive a power failure of the host, and those are flushed when they are sealed.
  const cache = 'cache=unsafe,discard=unmap,detect-zeroes=unmap'
  return `if=none,id=${diskId},file=${escapeValue(drive)},format=qcow2,${cache}`
}

function cardDevice({ device, mac }: NetworkCard, index: number): string {
  return `${device},netdev=net${index}${mac === undefined ? '' : `,mac=${mac}`},romfile=`
}

function networkBackend(network: GuestNetwork, index: number): string {
  if ('tap' in network) return `tap,id=net${index},ifname=${network.tap},script=no,downscript=no`
  const addresses = 'isOpen' in network ? '' : addressesOf(network)
  return `user,id=net${index}${addresses}${forwarding(network.forward)}`
}

function addressesOf({ network, host, lease }: UserNetwork): string {
  const dhcp = lease === undefined ? '' : `,dhcpstart=${lease}`
  return `,restrict=on,ipv6=off,net=${network},host=${host}${dhcp}`
}

function forwarding(forward: PortForward | undefined): string {
  if (forward === undefined) return ''
  const { hostPort, guestAddress = '', guestPort } = forward
  return `,hostfwd=tcp:127.0.0.1:${hostPort}-${guestAddress}:${guestPort}`
}

function serialArguments(serial: SerialPort): QemuArguments {
  if (serial === 'none' || serial === 'stdio') return [['-serial', serial]]
  if (serial === 'terminal') {
    // Control-C is for the guest; Control-A X ends QEMU.
    const chardev = 'stdio,id=serial0,mux=on,signal=off'
    return [
      ['-chardev', chardev],
      ['-serial', 'chardev:serial0'],
      ['-mon', 'chardev=serial0'],
    ]
  }
  return [
    ['-chardev', `file,id=serial0,path=${escapeValue(serial.file)}`],
    ['-serial', 'chardev:serial0'],
  ]
}

/** Ports without a named bus go to the first bus. */
function portArguments(ports: readonly VirtioPort[] = []): QemuArguments {
  if (ports.length === 0) return []
  return [
    ['-device', 'virtio-serial-pci'],
    ...ports.flatMap(({ id, name, socket, number }) => {
      const nr = number === undefined ? '' : `nr=${number},`
      return [
        ['-chardev', `socket,id=${id},path=${escapeValue(socket)},server=on,wait=off`],
        ['-device', `virtserialport,${nr}chardev=${id},name=${name}`],
      ]
    }),
  ]
}

/** On its own bus, so that it takes no number from the ports. */
function virtioConsoleArguments(file: string): QemuArguments {
  return [
    ['-chardev', `file,id=hvc0,path=${escapeValue(file)}`],
    ['-device', 'virtio-serial-pci,id=consolebus'],
    ['-device', 'virtconsole,bus=consolebus.0,chardev=hvc0'],
  ]
}

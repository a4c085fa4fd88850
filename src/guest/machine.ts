/** The virtual machine in which a file is booted: a device model, and what all models have in common. */

import type { Arch } from '../arch.ts'
import type { BlockNode } from '../disk/block-node.ts'
import type { Accelerator, DirectBoot, GuestNetwork, Machine, SerialPort, Uefi } from '../qemu/machine.ts'
import type { DeviceModel } from '../targets/device-model.ts'

/** A virtio-serial port: its name in the guest, and the socket on the host. */
export interface GuestPort {
  readonly name: string
  readonly socket: string
}

export interface GuestMachine {
  readonly arch: Arch
  readonly model: DeviceModel
  readonly accelerator: Accelerator
  readonly cpu: string
  readonly cpus: number
  readonly memoryMiB: number
  /** Block node of the disk that receives the writes. */
  readonly disk: BlockNode
  readonly networks: readonly GuestNetwork[]
  /** In the order in which the guest numbers them. */
  readonly ports: readonly GuestPort[]
  readonly serial: SerialPort
  /** Log file of the virtio console, if the model has one. */
  readonly virtioConsoleLog: string
  readonly qmpSocket: string
  /** OEM strings in the firmware's tables. */
  readonly firmwareStrings: readonly string[]
  /** Whether its state is ever saved or loaded. @default false */
  readonly savesStates?: boolean
  /** Whether it waits for a saved state instead of booting. */
  readonly awaitsState?: boolean
  /** Absent: a PC's BIOS. */
  readonly uefi?: Uefi | undefined
  /** Absent: the disk's boot loader starts the disk's kernel. */
  readonly directBoot?: DirectBoot | undefined
  /** ISO file in the CD drive. */
  readonly disc?: string | undefined
}

export function guestMachine(guest: GuestMachine): Machine {
  const { model, accelerator, cpu, cpus, memoryMiB, networks, ports, awaitsState = false } = guest
  return {
    arch: guest.arch,
    accelerator,
    cpu: [cpu, ...(model.cpuFeatures?.[accelerator] ?? [])].join(','),
    cpus,
    memoryMiB,
    firmware: { maker: model.maker, strings: guest.firmwareStrings },
    directBoot: guest.directBoot,
    uefi: guest.uefi,
    // For a screenshot if a boot fails.
    hasScreen: true,
    disk: { backend: guest.disk, devices: model.disk },
    disc: guest.disc,
    cards: networks.map((network, index) => ({
      device: model.nic,
      mac: 'tap' in network ? network.mac : macOf(index),
      network,
    })),
    serial: guest.serial,
    ports: ports.map((port, index) => ({ ...port, id: `port${index}`, number: index + 1 })),
    virtioConsole: model.hasVirtioConsole === true ? guest.virtioConsoleLog : undefined,
    qmpSocket: guest.qmpSocket,
    savesStates: guest.savesStates ?? false,
    awaits: awaitsState ? 'state' : undefined,
  }
}

/** MAC address of an interface, by number. */
export function macOf(index: number): string {
  return `52:54:00:5e:00:${(index + 1).toString(16).padStart(2, '0')}`
}

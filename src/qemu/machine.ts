/** What a virtual machine is made of: the one description from which QEMU's arguments are rendered. */

import type { BlockNode } from '../disk/block-node.ts'

export type Accelerator = 'kvm' | 'tcg'

/** How a guest is executed on this host. */
export interface Acceleration {
  readonly accelerator: Accelerator
  /** Value of QEMU's `-cpu`. */
  readonly cpu: string
}

export interface Machine extends Acceleration {
  /** QEMU's machine type. */
  readonly type: 'pc' | 'virt'
  /** @default 1 */
  readonly cpus?: number
  readonly memoryMiB: number
  readonly firmware?: Firmware
  readonly directBoot?: DirectBoot | undefined
  /** Whether there is a screen to take pictures of. It is never displayed. @default false */
  readonly hasScreen?: boolean
  readonly disk?: Disk
  /** ISO file in the CD drive. */
  readonly disc?: string | undefined
  /** In the order in which the guest finds them. @default none */
  readonly cards?: readonly NetworkCard[]
  /** Whether the host feeds the guest's random number generator. @default false */
  readonly hasEntropySource?: boolean
  /** Whether memory that the guest has freed goes back to the host, and is no part of a saved state. @default false */
  readonly hasBalloon?: boolean
  readonly serial: SerialPort
  /** virtio-serial ports. @default none */
  readonly ports?: readonly VirtioPort[]
  /** File of a second console, virtio's, which the guest calls hvc0. */
  readonly virtioConsole?: string | undefined
  /** QEMU's own command line, for a machine without QMP. */
  readonly monitor?: 'stdio'
  readonly qmpSocket?: string
  /** What the machine waits for before its first instruction: a command, or a saved state. @default nothing */
  readonly awaits?: 'command' | 'state' | undefined
}

/** What the firmware's tables say. */
export interface Firmware {
  /** Absent: QEMU. */
  readonly maker?: { readonly manufacturer: string; readonly product: string } | undefined
  /** OEM strings. @default none */
  readonly strings?: readonly string[]
}

/** A kernel that QEMU starts without firmware and boot loader. */
export interface DirectBoot {
  readonly kernel: string
  readonly initrd?: string
  readonly arguments: string
}

export interface Disk {
  readonly backend: Drive | BlockNode
  /** Adapter, if any, and disk, on the back end `disk0`. */
  readonly devices: readonly string[]
}

/** A qcow2 whose name QMP keeps while snapshots are stacked on it, as a block node's does not. */
export interface Drive {
  readonly drive: string
}

/** Id of the disk's back end, by which devices and QMP name it. */
export const diskId = 'disk0'

export interface NetworkCard {
  /** e.g. `virtio-net-pci` */
  readonly device: string
  /** Absent: QEMU's own choice. */
  readonly mac?: string
  readonly network: GuestNetwork
}

/** What a card is plugged into. */
export type GuestNetwork = OpenNetwork | UserNetwork | TapNetwork

/** QEMU's user mode network with its own addresses, and the way out that the host has. */
export interface OpenNetwork {
  readonly isOpen: true
  readonly forward?: PortForward
}

/** A user mode network without a way out, and with no way in but a forwarded port. */
export interface UserNetwork {
  /** e.g. `192.168.5.0/24` */
  readonly network: string
  /** Address of the host in it. */
  readonly host: string
  readonly forward?: PortForward
}

/** An existing tap device, in the network namespace that QEMU runs in. What is behind it is the host's affair. */
export interface TapNetwork {
  readonly tap: string
  readonly mac: string
}

/** A TCP port of 127.0.0.1 that leads to one of the guest's. */
export interface PortForward {
  /** A number, or a word that is replaced by one before QEMU starts. */
  readonly hostPort: number | string
  readonly guestAddress?: string
  readonly guestPort: number
}

/** A file, the terminal that this program runs in, our pipes, or no port at all. */
export type SerialPort = { readonly file: string } | 'terminal' | 'stdio' | 'none'

/** A virtio-serial port: its name in the guest, and the socket on the host that QEMU listens on. */
export interface VirtioPort {
  /** Name of the socket in QEMU. */
  readonly id: string
  readonly name: string
  readonly socket: string
  /** Number in the guest, from 1. Absent: the next one. */
  readonly number?: number
}

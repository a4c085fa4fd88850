/** The description of a virtual machine, from which QEMU's arguments are rendered. */

import type { Arch } from '../arch.ts'
import type { BlockNode } from '../disk/block-node.ts'

export type Accelerator = 'kvm' | 'tcg'

/** How to execute a guest on this host. */
export interface Acceleration {
  /** Architecture of the guest. */
  readonly arch: Arch
  readonly accelerator: Accelerator
  /** Value of QEMU's `-cpu`. */
  readonly cpu: string
}

export interface Machine extends Acceleration {
  /** @default 1 */
  readonly cpus?: number
  readonly memoryMiB: number
  readonly firmware?: Firmware
  /** UEFI firmware instead of the machine's default. Absent: a PC's BIOS, or direct boot only. */
  readonly uefi?: Uefi | undefined
  readonly directBoot?: DirectBoot | undefined
  /** Whether there is a screen to take screenshots of. It is never displayed. @default false */
  readonly hasScreen?: boolean
  readonly disk?: Disk
  /** ISO file in the CD drive. */
  readonly disc?: string | undefined
  /** In the order in which the guest finds them. @default none */
  readonly cards?: readonly NetworkCard[]
  /** Whether the host feeds the guest's random number generator. @default false */
  readonly hasEntropySource?: boolean
  /** Whether memory freed by the guest returns to the host and stays out of saved states. @default false */
  readonly hasBalloon?: boolean
  readonly serial: SerialPort
  /** virtio-serial ports. @default none */
  readonly ports?: readonly VirtioPort[]
  /** Output file of a second console, on virtio: hvc0 in the guest. */
  readonly virtioConsole?: string | undefined
  /** QEMU's monitor, for a machine without QMP. */
  readonly monitor?: 'stdio'
  readonly qmpSocket?: string
  /** Whether QEMU runs programs, through which states are saved and loaded. @default false */
  readonly savesStates?: boolean
  /** What the machine waits for before its first instruction: a command, or a saved state. @default nothing */
  readonly awaits?: 'command' | 'state' | undefined
}

/** The contents of the firmware's tables. */
export interface Firmware {
  /** Absent: QEMU. */
  readonly maker?: { readonly manufacturer: string; readonly product: string } | undefined
  /** OEM strings. @default none */
  readonly strings?: readonly string[]
}

/** UEFI firmware. */
export interface Uefi {
  /** Path of its code. */
  readonly code: string
  /** Path of its variables, which it writes to. Absent: they are lost when the machine ends. */
  readonly variables?: string
  /** Whether it only starts signed programs. @default false */
  readonly isSecure?: boolean
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

/** A qcow2 with a stable name in QMP while snapshots are stacked on it, unlike a block node's. */
export interface Drive {
  readonly drive: string
}

/** Id of the disk's back end, used by devices and QMP. */
export const diskId = 'disk0'

export interface NetworkCard {
  /** e.g. `virtio-net-pci` */
  readonly device: string
  /** Absent: QEMU's own choice. */
  readonly mac?: string
  readonly network: GuestNetwork
}

/** The network that a card is connected to. */
export type GuestNetwork = OpenNetwork | UserNetwork | TapNetwork

/** QEMU's user mode network, with default addresses and the host's access to the outside. */
export interface OpenNetwork {
  readonly isOpen: true
  readonly forward?: PortForward
}

/** A user mode network without access to the outside, reachable only through a forwarded port. */
export interface UserNetwork {
  /** e.g. `192.168.5.0/24` */
  readonly network: string
  /** Address of the host in it. */
  readonly host: string
  /** Address that the guest gets by DHCP. @default one that QEMU chooses */
  readonly lease?: string
  readonly forward?: PortForward
}

/** An existing tap device, in QEMU's network namespace. The host decides what it is connected to. */
export interface TapNetwork {
  readonly tap: string
  readonly mac: string
}

/** A TCP port on 127.0.0.1 that is forwarded to the guest. */
export interface PortForward {
  /** A number, or a placeholder that is replaced by one before QEMU starts. */
  readonly hostPort: number | string
  readonly guestAddress?: string
  readonly guestPort: number
}

/** A file, this program's terminal, our pipes, or no port at all. */
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

/** Machines like those of each hypervisor, as far as QEMU has their devices: what a file is booted in to be verified. */

import type { Accelerator } from '../qemu/machine.ts'

/** Devices that a hypervisor gives its guests, or their nearest relatives. */
export interface DeviceModel {
  /** What it is, for reports. */
  readonly summary: string
  /** Adapter and disk, on the block node `disk0`. */
  readonly disk: readonly string[]
  /** Network card. All are of one kind, as CloudStack attaches them: drivers name interfaces in the order of their loading. */
  readonly nic: string
  /** What the machine says of its maker. Absent: QEMU. */
  readonly maker?: { readonly manufacturer: string; readonly product: string }
  /** Features of the CPU by which a guest knows its hypervisor. */
  readonly cpuFeatures: Readonly<Record<Accelerator, readonly string[]>>
  /** Answers of `virt-what` that are right here. */
  readonly virtWhat: readonly string[]
  /** Units that fail in it, and what QEMU lacks that they need. */
  readonly failingUnits?: Readonly<Record<string, string>>
  /** Whether a second console of virtio's is attached, which the guest calls hvc0. */
  readonly hasVirtioConsole?: boolean
}

const plain = { kvm: [], tcg: [] } as const
/** Its first look is at the name in leaf 0x40000000 of the processor, which QEMU gives to KVM's guests only. */
const withoutVmtools = { 'open-vm-tools.service': 'QEMU has no processor that names VMware' } as const
/** With the signature of QEMU's own CPUs hidden, a guest goes by the machine's maker. */
const hidden = { kvm: ['kvm=off'], tcg: ['tcg-cpuid=off'] } as const

export const deviceModels = {
  virtio: {
    summary: 'virtio disk and network, as on KVM',
    disk: ['virtio-blk-pci,drive=disk0,bootindex=0'],
    nic: 'virtio-net-pci',
    cpuFeatures: plain,
    virtWhat: ['kvm', 'qemu'],
  },
  'virtio-scsi': {
    summary: 'virtio SCSI disk, network and console, as KVM may have them',
    disk: ['virtio-scsi-pci,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0'],
    nic: 'virtio-net-pci',
    cpuFeatures: plain,
    virtWhat: ['kvm', 'qemu'],
    hasVirtioConsole: true,
  },
  'hyper-v': {
    summary: 'IDE disk and tulip network, as on Hyper-V before its own drivers are loaded',
    disk: ['ide-hd,bus=ide.0,drive=disk0,bootindex=0'],
    nic: 'tulip',
    // Without Microsoft's name: by that alone Linux leaves the IDE disk to the driver of Hyper-V's own bus.
    cpuFeatures: { kvm: ['hv-relaxed', 'hv-vapic', 'hv-time', 'hv-spinlocks=0x1fff'], tcg: [] },
    // Emulated processors have no Hyper-V to show.
    virtWhat: ['hyperv', 'virtualpc', 'kvm', 'qemu'],
  },
  xen: {
    summary: 'IDE disk and RTL8139 network, as Xen emulates them before its own drivers are loaded',
    disk: ['ide-hd,bus=ide.0,drive=disk0,bootindex=0'],
    nic: 'rtl8139',
    cpuFeatures: plain,
    virtWhat: ['kvm', 'qemu'],
  },
  'vmware-lsilogic': {
    summary: "LSI SAS 1068 disk, lsilogic's relative that QEMU has; e1000 network, as on VMware",
    // Without a name of its own the driver of Linux does not attach the disk.
    disk: ['mptsas1068,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,wwn=0x5000c50015ea71ac,bootindex=0'],
    nic: 'e1000',
    maker: { manufacturer: 'VMware, Inc.', product: 'VMware Virtual Platform' },
    cpuFeatures: hidden,
    virtWhat: ['vmware'],
    failingUnits: withoutVmtools,
  },
  'vmware-pvscsi': {
    summary: 'pvscsi disk, vmxnet3 network, as on VMware',
    disk: ['pvscsi,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0'],
    nic: 'vmxnet3',
    maker: { manufacturer: 'VMware, Inc.', product: 'VMware Virtual Platform' },
    cpuFeatures: hidden,
    virtWhat: ['vmware'],
    failingUnits: withoutVmtools,
  },
  virtualbox: {
    summary: 'AHCI disk and e1000 network, as on VirtualBox',
    disk: ['ich9-ahci,id=ahci0', 'ide-hd,bus=ahci0.0,drive=disk0,bootindex=0'],
    nic: 'e1000',
    maker: { manufacturer: 'innotek GmbH', product: 'VirtualBox' },
    cpuFeatures: hidden,
    virtWhat: ['virtualbox'],
  },
} as const satisfies Readonly<Record<string, DeviceModel>>

export type DeviceModelName = keyof typeof deviceModels

/** Hardware address of an interface, by its number. */
export function macOf(index: number): string {
  return `52:54:00:5e:00:${(index + 1).toString(16).padStart(2, '0')}`
}

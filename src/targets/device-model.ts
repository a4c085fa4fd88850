/** A machine like one of a hypervisor's, as far as QEMU has its devices. */

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
  /** Features of the CPU by which a guest knows its hypervisor, with KVM and without. @default none */
  readonly cpuFeatures?: { readonly kvm: readonly string[]; readonly tcg: readonly string[] }
  /** Answers of `virt-what` that are right here. */
  readonly virtWhat: readonly string[]
  /** Units that fail in it, and what QEMU lacks that they need. */
  readonly failingUnits?: Readonly<Record<string, string>>
  /** Whether a second console of virtio's is attached, which the guest calls hvc0. */
  readonly hasVirtioConsole?: boolean
  /** Whether the virtio port is attached by which CloudStack's hosts of old hand over data. */
  readonly hasOldPort?: boolean
}

/** With the signature of QEMU's own CPUs hidden, a guest goes by the machine's maker. */
export const hiddenCpu = { kvm: ['kvm=off'], tcg: ['tcg-cpuid=off'] } as const

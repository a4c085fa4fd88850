/** A hypervisor's machine, as closely as QEMU's devices can match it. */

/** Devices that a hypervisor gives its guests, or the closest that QEMU has. */
export interface DeviceModel {
  /** What it is, for reports. */
  readonly summary: string
  /** Adapter and disk, on the block node `disk0`. */
  readonly disk: readonly string[]
  /** UEFI firmware: any, or one that only starts signed programs. @default a BIOS on a PC */
  readonly uefi?: 'plain' | 'secure'
  /**
   * Network card. All are of the same kind, as CloudStack attaches them: drivers name interfaces in the order in which they
   * load.
   */
  readonly nic: string
  /** Manufacturer and product in the SMBIOS tables. @default QEMU's */
  readonly maker?: { readonly manufacturer: string; readonly product: string }
  /** CPU features by which a guest recognizes its hypervisor, with KVM and without. @default none */
  readonly cpuFeatures?: { readonly kvm: readonly string[]; readonly tcg: readonly string[] }
  /** Correct output of `virt-what`. */
  readonly virtWhat: readonly string[]
  /** Units that fail in it, each with what QEMU lacks. */
  readonly failingUnits?: Readonly<Record<string, string>>
  /** Whether a virtio console is also attached, hvc0 in the guest. */
  readonly hasVirtioConsole?: boolean
  /** Whether the virtio port is attached with which older CloudStack hosts deliver data. */
  readonly hasOldPort?: boolean
}

/** Hides QEMU's CPU signature, so that a guest identifies its hypervisor by the machine's manufacturer. */
export const hiddenCpu = { kvm: ['kvm=off'], tcg: ['tcg-cpuid=off'] } as const

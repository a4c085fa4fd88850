/** A hypervisor's machine, as close as QEMU's devices come to it. */

/** Devices that a hypervisor gives its guests, or the closest that QEMU has. */
export interface DeviceModel {
  /** What it is, for reports. */
  readonly summary: string
  /** Adapter and disk, on the block node `disk0`. */
  readonly disk: readonly string[]
  /** UEFI firmware: any, or one that only starts what is signed. @default a BIOS on a PC */
  readonly uefi?: 'plain' | 'secure'
  /** Network card. All are of one kind, as CloudStack attaches them: drivers name interfaces in the order of their loading. */
  readonly nic: string
  /** Manufacturer and product in the SMBIOS tables. @default QEMU's */
  readonly maker?: { readonly manufacturer: string; readonly product: string }
  /** CPU features by which a guest recognizes its hypervisor, with KVM and without. @default none */
  readonly cpuFeatures?: { readonly kvm: readonly string[]; readonly tcg: readonly string[] }
  /** Correct answers of `virt-what`. */
  readonly virtWhat: readonly string[]
  /** Units that fail in it, each with what QEMU lacks. */
  readonly failingUnits?: Readonly<Record<string, string>>
  /** Whether a virtio console is attached as well, hvc0 in the guest. */
  readonly hasVirtioConsole?: boolean
  /** Whether the virtio port is attached through which older CloudStack hosts deliver data. */
  readonly hasOldPort?: boolean
}

/** Hides QEMU's CPU signature, so that a guest identifies its hypervisor by the machine's manufacturer. */
export const hiddenCpu = { kvm: ['kvm=off'], tcg: ['tcg-cpuid=off'] } as const

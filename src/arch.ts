/** The architectures of images, and the differences between them; nothing else here depends on the architecture. */

/** Kernel names. */
export const archNames = ['x86_64', 'aarch64'] as const

export type Arch = (typeof archNames)[number]

/** The same in Debian's names. */
export type DebianArch = 'amd64' | 'arm64'

/** Kind of a partition table. */
export type TableKind = 'mbr' | 'gpt'

export interface ArchFacts {
  readonly debianArch: DebianArch
  /** As in Node.js's `process.arch`. */
  readonly nodeArch: string
  /** QEMU's machine type. */
  readonly machine: 'pc' | 'virt'
  /** Debian package of `qemu-system-<arch>`. */
  readonly qemuPackage: string
  /** Firmware that has to be passed to QEMU: its path on CloudStack's hosts, and its Debian package. */
  readonly uefi?: { readonly file: string; readonly package: string }
  /** QEMU's device for a screen. */
  readonly screen: string
  /** CPU of guests without KVM. */
  readonly emulatedCpu: string
  /** Name of the first serial port in a guest, and the `console=` of a kernel that uses it. */
  readonly serialPort: string
  readonly serialConsole: string
  /** The partition table that its firmware boots from. */
  readonly table: TableKind
  /** The least memory that CloudStack gives a router. */
  readonly routerMemoryMiB: number
}

export const archs: Readonly<Record<Arch, ArchFacts>> = {
  x86_64: {
    debianArch: 'amd64',
    nodeArch: 'x64',
    machine: 'pc',
    qemuPackage: 'qemu-system-x86',
    screen: 'VGA',
    // An AMD CPU is not prone to Meltdown, so Linux does not isolate its page tables: QEMU would flush its TLB at every system
    // call. This one also lacks AVX and fast `rep movsb`, both slow to emulate. Compared with Haswell, a boot takes two thirds
    // of the work.
    //
    // QEMU 7.2's emulation of `cmpxchg16b` corrupts flags. Debian 13's kernel uses it on every CPU that advertises it, and
    // dies of a double fault in its memory allocator. `max` also has it, and stalls udev for minutes too.
    emulatedCpu: 'Opteron_G3,-cx16',
    serialPort: 'ttyS0',
    serialConsole: 'ttyS0,115200n8',
    table: 'mbr',
    // The default before 4.20. Offerings of an administrator's own may still have no more.
    routerMemoryMiB: 256,
  },
  aarch64: {
    debianArch: 'arm64',
    nodeArch: 'arm64',
    machine: 'virt',
    qemuPackage: 'qemu-system-arm',
    uefi: { file: '/usr/share/AAVMF/AAVMF_CODE.fd', package: 'qemu-efi-aarch64' },
    screen: 'virtio-gpu-pci',
    // `max` authenticates every pointer, which is slow to emulate.
    emulatedCpu: 'cortex-a72',
    serialPort: 'ttyAMA0',
    serialConsole: 'ttyAMA0',
    table: 'gpt',
    // The default since 4.20, the first release with such hosts.
    routerMemoryMiB: 512,
  },
}

/** The architecture of this host. */
export const hostArch: Arch = archNames.find((name) => archs[name].nodeArch === process.arch) ?? 'x86_64'

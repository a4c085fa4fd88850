import { defineStage, type ImageFacts, z } from '../src/api.ts'

export const configure_grub = defineStage({
  name: 'configure_grub',
  summary:
    'installs GRUB, with consoles on screen and serial line, and an initramfs that boots on every hypervisor',
  from: import.meta.url,
  settings: {
    /**
     * Kernel arguments added after the image's own.
     * @default none
     */
    kernelArguments: z
      .array(z.string().regex(/^[\w.,:=/@%+-]+$/, 'must be one kernel argument, without spaces or quotes'))
      .default([]),
  },
  packages: (_settings, image) => [
    image.kernelPackage,
    'initramfs-tools',
    // Without it the initramfs is compressed by gzip: larger, and slower to unpack at every boot.
    'zstd',
    ...(image.arch === 'x86_64' ? ['grub-pc'] : ['grub-efi-arm64']),
    ...(image.arch === 'x86_64' && hasEsp(image) ? ['grub-efi-amd64-bin'] : []),
    ...(image.disk.secureBoot === true ? ['grub-efi-amd64-signed', 'shim-signed'] : []),
  ],
  environment: (settings, image) => ({
    GRUB_PLATFORMS: [
      ...(image.arch === 'x86_64' ? ['i386-pc'] : ['arm64-efi']),
      ...(image.arch === 'x86_64' && hasEsp(image) ? ['x86_64-efi'] : []),
    ].join(' '),
    UEFI_LOADER: hasEsp(image) ? loaderOf(image) : 'none',
    SECURE_BOOT: image.disk.secureBoot === true ? 'yes' : 'no',
    // The last console that exists becomes /dev/console, where systemd's messages go: the serial line, which a host can
    // log, or else the screen. hvc0 comes first because it exists under Xen and with a virtio console only.
    KERNEL_ARGUMENTS: [
      'console=hvc0',
      'console=tty0',
      ...(image.arch === 'x86_64' ? ['console=ttyS0,115200n8'] : ['console=ttyAMA0']),
      'net.ifnames=0',
      'biosdevname=0',
      // A disk whose host failed may be damaged, and the console is unattended: the initramfs checks the root at every
      // boot and repairs what it finds. This takes a second under emulation; a clean journal proves nothing.
      'fsck.mode=force',
      'fsck.repair=yes',
      // If the initramfs finds no root within half a minute, it restarts the machine instead of opening a shell.
      'panic=10',
      ...settings.kernelArguments,
    ].join(' '),
    // What KVM, XenServer, Hyper-V and VMware attach, and an emulated PC.
    DISK_MODULES: [
      'virtio_blk',
      'virtio_scsi',
      ...(image.arch === 'x86_64'
        ? ['xen_blkfront', 'hv_storvsc', 'vmw_pvscsi', 'mptspi', 'ahci', 'ata_piix', 'sd_mod']
        : []),
    ].join(' '),
    NETWORK_MODULES: [
      'virtio_net',
      ...(image.arch === 'x86_64' ? ['xen_netfront', 'hv_netvsc', 'vmxnet3', 'e1000'] : []),
    ].join(' '),
  }),
  leaves: (_settings, image) => [
    '/etc/default/grub.d/systemvm.cfg',
    '/boot/grub/grub.cfg',
    ...(image.arch === 'x86_64' ? ['/boot/grub/i386-pc/core.img'] : []),
    ...(hasEsp(image) ? [loaderOf(image)] : []),
  ],
  // One initramfs takes minutes in an emulated guest.
  timeoutSeconds: 2400,
})

function hasEsp({ disk }: ImageFacts): boolean {
  return disk.partitions.some(({ mount }) => mount === '/boot/efi')
}

/** What firmware starts on a disk that it knows nothing of. */
function loaderOf({ arch }: ImageFacts): string {
  return `/boot/efi/EFI/BOOT/${arch === 'x86_64' ? 'BOOTX64' : 'BOOTAA64'}.EFI`
}

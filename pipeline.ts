/** The Apache CloudStack system VM template. `src/config/pipeline.ts` has each value's type and default. */

import { apt_upgrade } from './provisioners/apt_upgrade.ts'
import { authorized_keys } from './provisioners/authorized_keys.ts'
import { build_time } from './provisioners/build_time.ts'
import { cleanup } from './provisioners/cleanup.ts'
import { configure_acpid } from './provisioners/configure_acpid.ts'
import { configure_cloud_init } from './provisioners/configure_cloud_init.ts'
import { configure_conntrack } from './provisioners/configure_conntrack.ts'
import { configure_grub } from './provisioners/configure_grub.ts'
import { configure_locale } from './provisioners/configure_locale.ts'
import { configure_login } from './provisioners/configure_login.ts'
import { configure_networking } from './provisioners/configure_networking.ts'
import { configure_persistent_config } from './provisioners/configure_persistent_config.ts'
import { configure_systemvm_services } from './provisioners/configure_systemvm_services.ts'
import { install_systemvm_packages } from './provisioners/install_systemvm_packages.ts'
import { install_xen_tools } from './provisioners/install_xen_tools.ts'
import { zerodisk } from './provisioners/zerodisk.ts'
import { definePipeline, kernelModules } from './src/api.ts'

export default definePipeline({
  name: 'systemvmtemplate',
  release: '4.22.0',
  date: '2026-11-01',

  variants: [
    // CloudStack finds the variant without a label by itself; docs/cloudstack.md says why it is bookworm.
    { suite: 'bookworm', arch: 'x86_64' },
    { suite: 'trixie', arch: 'x86_64', label: 'trixie' },
    // The same with a boot loader for UEFI besides: docs/firmware.md says who needs it.
    {
      suite: 'bookworm',
      arch: 'x86_64',
      label: 'uefi',
      disk: {
        sizeMiB: 5040,
        secureBoot: true,
        partitions: [
          { mount: '/boot', filesystem: 'ext2', sizeMiB: 400, primary: true, bootable: true },
          { mount: '/boot/efi', filesystem: 'vfat', sizeMiB: 64, primary: true },
          { filesystem: 'swap', sizeMiB: 512 },
          { mount: '/', filesystem: 'ext4', grow: true },
        ],
      },
    },
    { suite: 'bookworm', arch: 'aarch64' },
    { suite: 'trixie', arch: 'aarch64', label: 'trixie' },
  ],

  disk: {
    sizeMiB: 5040,
    partitions: [
      { mount: '/boot', filesystem: 'ext2', sizeMiB: 400, primary: true, bootable: true },
      { filesystem: 'swap', sizeMiB: 512 },
      { mount: '/', filesystem: 'ext4', grow: true },
    ],
  },

  hostname: 'systemvm',
  domain: 'cloudstack.org',
  locale: 'en_US.UTF-8',
  timezone: 'Etc/UTC',
  keyboard: 'us',
  account: { name: 'cloud', fullName: 'Cloud Stack', groups: ['audio', 'cdrom', 'video'] },

  mirror: {
    debian: 'http://deb.debian.org/debian',
    security: 'http://deb.debian.org/debian-security',
  },
  installer: 'bootstrap',
  kernelPackage: 'linux-image-amd64',
  // Mostly modules for hardware that no virtual machine has: a quarter of what the image would be.
  leaveOut: {
    graphicsCards: [
      ...kernelModules('drivers/gpu/drm', 'amd display gma500 i915 nouveau radeon xe'),
      ...kernelModules('drivers/video/fbdev', 'aty kyro matrox savage sis via'),
    ],
    soundAndMedia: [...kernelModules('', 'sound'), ...kernelModules('drivers', 'media soundwire')],
    wireless: [
      ...kernelModules('net', '6lowpan batman-adv bluetooth ieee802154 mac80211 mac802154 nfc wireless'),
      ...kernelModules('drivers', 'bluetooth net/ieee802154 net/wireless net/wwan nfc'),
    ],
    oldNetworks: [
      ...kernelModules('net', 'atm ax25 can netrom rose'),
      ...kernelModules('drivers', 'atm isdn usb/atm'),
      ...kernelModules('drivers/net', 'arcnet can fddi hamradio wan'),
    ],
    // Those that hypervisors emulate stay, as do those of which a guest can be given a virtual function.
    networkCards: [
      ...kernelModules('drivers/net', 'fjes usb'),
      ...kernelModules('drivers/net/ethernet', '3com aquantia atheros brocade cavium chelsio cisco emulex'),
      ...kernelModules('drivers/net/ethernet', 'huawei marvell netronome qlogic sfc sun'),
      ...kernelModules('drivers/net/ethernet/intel', 'i40e ice ixgbe'),
      ...kernelModules('drivers/infiniband', 'hw sw ulp'),
    ],
    diskControllers: [
      ...kernelModules('drivers/scsi', 'aic7xxx aic94xx be2iscsi bfa bnx2fc bnx2i csiostor cxgbi fnic'),
      ...kernelModules('drivers/scsi', 'isci lpfc mpi3mr pcmcia pm8001 qedf qedi qla2xxx qla4xxx'),
      ...kernelModules('drivers', 'memstick mmc mtd target/iscsi/cxgbit ufs'),
      ...kernelModules('fs', 'jffs2 ubifs'),
    ],
    sharedDisks: kernelModules('fs', 'afs gfs2 ocfs2 orangefs'),
    boards: [
      ...kernelModules('drivers', 'accessibility comedi crypto/chelsio edac firewire hid/surface-hid hwmon'),
      ...kernelModules('drivers', 'iio pcmcia platform power staging thunderbolt tty/ipwireless w1'),
      ...kernelModules('drivers/input', 'joystick touchscreen'),
      ...kernelModules('drivers/usb', 'gadget misc serial'),
    ],
    hardwareNames: [
      '*/lib/udev/hwdb.d/20-OUI.hwdb',
      '*/lib/udev/hwdb.d/20-bluetooth-vendor-product.hwdb',
      '*/lib/udev/hwdb.d/20-pci-vendor-model.hwdb',
      '*/lib/udev/hwdb.d/20-usb-vendor-model.hwdb',
    ],
    // Of protocols that containerd's own configuration does not name.
    containerShims: ['/usr/bin/containerd-shim', '/usr/bin/containerd-shim-runc-v1'],
    // Classes for heaps of 32 GiB and more.
    java: ['/usr/lib/jvm/*/lib/server/classes_nocoops.jsa'],
    // What compilers read.
    headers: ['/usr/lib/jvm/*/lib/ct.sym', '/usr/lib/*/perl/*/CORE/*.h'],
  },
  store: { maximumGiB: 20 },

  stages: [
    build_time(),
    apt_upgrade(),
    configure_grub(),
    configure_locale(),
    configure_login(),
    configure_networking(),
    configure_acpid(),
    install_systemvm_packages(),
    // Left out until its settings say where to download the tools.
    install_xen_tools(),
    configure_cloud_init(),
    configure_conntrack(),
    configure_systemvm_services(),
    authorized_keys(),
    configure_persistent_config(),
    cleanup(),
    zerodisk(),
  ],

  targets: ['kvm', 'xenserver', 'hyperv', 'vmware', 'raw'],
  architectures: {
    aarch64: {
      disk: {
        table: 'gpt',
        sizeMiB: 5040,
        partitions: [
          { mount: '/boot/efi', filesystem: 'vfat', sizeMiB: 64, primary: true },
          { mount: '/boot', filesystem: 'ext2', sizeMiB: 400, primary: true },
          { filesystem: 'swap', sizeMiB: 512 },
          { mount: '/', filesystem: 'ext4', grow: true },
        ],
      },
      kernelPackage: 'linux-image-arm64',
      targets: ['kvm'],
    },
  },
  verification: { contract: 'cloudstack' },
})

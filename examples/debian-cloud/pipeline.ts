/** A Debian cloud image: a NoCloud seed gives it name, keys and network, and its host reaches the QEMU guest agent. */

import { definePipeline } from 'systemvm-image'
import { apt_upgrade, cleanup, configure_grub, zerodisk } from 'systemvm-image/stages'
import { configure_cloud_init } from './stages/configure_cloud_init.ts'
import { install_guest_agent } from './stages/install_guest_agent.ts'

export default definePipeline({
  name: 'debian-cloud',
  release: '1.0',
  // Stamped on everything that is built.
  date: '2026-11-01',

  variants: [{ suite: 'trixie', arch: 'x86_64' }],

  // Multiples of 126 MiB are exact in every format. At first boot, the root grows with the disk.
  disk: {
    sizeMiB: 2520,
    partitions: [{ mount: '/', filesystem: 'ext4', grow: true, primary: true, bootable: true }],
  },

  hostname: 'debian',
  domain: 'example.org',
  // cloud-init gives this account the keys of the seed.
  account: { name: 'debian', fullName: 'Debian', groups: ['adm', 'sudo'] },

  stages: [
    apt_upgrade(),
    configure_grub(),
    install_guest_agent(),
    configure_cloud_init(),
    // The last two: no identity, log or unused block of the build is in the image.
    cleanup(),
    zerodisk(),
  ],

  targets: ['kvm'],
})

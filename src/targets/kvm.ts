/** KVM: a compressed qcow2. */

import { z } from 'zod'
import { checkImage, readImageInfo } from '../disk/qemu-img.ts'
import { exportQcow2 } from '../formats/qcow2.ts'
import { readUnusualFeatures } from '../formats/qcow2-header.ts'
import { differs, type TargetCheck } from './file-check.ts'
import { defineTarget } from './target.ts'

const settings = z
  .strictObject({
    /** Every QEMU reads `0.10`; those since 2013 read `1.1`. */
    compat: z.enum(['0.10', '1.1']).default('1.1'),
    /** zstd is faster and smaller, but unreadable on hosts with a QEMU before 5.1 or built without it. */
    compression: z.enum(['zlib', 'zstd']).default('zlib'),
    /** Compresses the file once more. Takes most of a minute, and saves two percent. */
    archive: z.enum(['none', 'bz2']).default('none'),
  })
  .prefault({})
  .refine((value) => !(value.compat === '0.10' && value.compression === 'zstd'), {
    error: 'zstd needs compat 1.1',
    path: ['compression'],
  })

const mebibyte = 1024 ** 2

const soundQcow2: TargetCheck<z.output<typeof settings>> = {
  does: 'reads the feature bits of the header, what qemu-img info says about it, and every cluster with qemu-img check',
  async inspect({ source, settings, diskBytes, signal }) {
    if (source.format !== 'qcow2') return { faults: [`it is a ${source.format}`], observed: '' }
    const facts = await readImageInfo(source.node, signal)
    const { status, said, compressedClusters: compressed } = await checkImage(source.node, signal)
    const { compat, 'compression-type': compression = 'zlib' } = facts['format-specific']?.data ?? {}
    const faults = [
      ...(status === 'sound' ? [] : [`qemu-img check: ${said}`]),
      ...(compressed > 0 ? [] : ['no cluster is compressed']),
      ...(await readUnusualFeatures(source.file)),
      ...differs('compat', compat, settings?.compat),
      ...differs('compression', compression, settings?.compression ?? 'zlib'),
      ...differs('bytes', facts['virtual-size'], diskBytes),
    ]
    const size = `${facts['virtual-size'] / mebibyte} MiB`
    const observed = `qcow2 compat ${compat}, ${compression}, ${size}, ${compressed} compressed clusters`
    return { faults, observed }
  },
}

/** The newest Debian in any CloudStack database, up to 4.23. */
const guestOs = 'Debian GNU/Linux 12 (64-bit)'

const virtio = { nic: 'virtio-net-pci', virtWhat: ['kvm', 'qemu'], hasOldPort: true } as const

export const kvm = defineTarget({
  name: 'kvm',
  rank: 1,
  archs: ['x86_64', 'aarch64'],

  settings,
  cloudstack: { archive: 'bz2' },

  format: () => 'qcow2',
  suffix: () => 'kvm.qcow2',
  names: { part: /-kvm\./, ending: /\.qcow2/ },
  revision: 1,
  takesGrains: ({ compression }) => compression === 'zlib',
  write: ({ disk, settings, onProgress, signal, grains }, file) =>
    exportQcow2(disk, file, settings, onProgress, signal, grains),
  storage: 'compressed',

  // LXC has no separate file.
  hypervisors: [
    { name: 'kvm', guestOs },
    { name: 'lxc', guestOs, archs: ['x86_64'] },
  ],

  deviceModels: {
    virtio: {
      ...virtio,
      summary: 'virtio disk and network, as on KVM',
      disk: ['virtio-blk-pci,drive=disk0,bootindex=0'],
    },
    'virtio-scsi': {
      ...virtio,
      summary: 'virtio SCSI disk, network and console, as KVM may have them',
      disk: ['virtio-scsi-pci,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0'],
      hasVirtioConsole: true,
    },
    'virtio-uefi': {
      ...virtio,
      summary: 'virtio disk and network and UEFI firmware, as on KVM',
      disk: ['virtio-blk-pci,drive=disk0,bootindex=0'],
      uefi: 'plain',
    },
    'virtio-secure-boot': {
      ...virtio,
      summary: 'virtio disk and network and UEFI firmware in Secure Boot mode, as on KVM',
      disk: ['virtio-blk-pci,drive=disk0,bootindex=0'],
      uefi: 'secure',
    },
  },
  deviceModelFor: () => 'virtio',
  uefiModels: { plain: 'virtio-uefi', secure: 'virtio-secure-boot' },
  // Only this file runs the scenes of every role, since all others have the same disk.
  scenes: [
    'secstorage',
    'port-second',
    'consoleproxy',
    'router',
    'redundant-router',
    'vpcrouter',
    'dhcpsrvr',
    'elbvm',
    'ilbvm',
    'cksnode',
    'sharedfsvm',
    'unknown-type',
    'broken-filter',
    'no-data',
    'port',
    'no-serial',
    'uefi',
    'secure-boot',
  ],
  checks: { A1: soundQcow2 },
})

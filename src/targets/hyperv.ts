/** Hyper-V: a VHD for machines of generation 1, or a VHDX for both. */

import { z } from 'zod'
import { writeHypervVhd } from '../formats/vhd.ts'
import { vhdSizes } from '../formats/vhd-format.ts'
import { writeVhdx } from '../formats/vhdx.ts'
import { defineTarget } from './target.ts'
import { inspectVhd, vhdRules } from './vhd-rules.ts'

export const hyperv = defineTarget({
  name: 'hyperv',
  rank: 4,
  archs: ['x86_64'],

  settings: z
    .strictObject({
      /** Generation 2 machines take only `vhdx`, and boot it only if the disk has a partition at `/boot/efi`. */
      container: z.enum(['vhd', 'vhdx']).default('vhd'),
      /** Kind of VHD. `fixed`, which Azure requires, is the disk itself followed by a footer. */
      subformat: z.enum(['dynamic', 'fixed']).default('dynamic'),
      /** Compresses the file. */
      archive: z.enum(['none', 'zip']).default('none'),
    })
    .prefault({}),
  brokenRules: (_settings, surroundings) => vhdRules(surroundings),
  cloudstack: { archive: 'zip', container: 'vhd' },

  format: ({ container }) => container,
  suffix: ({ container }) => `hyperv.${container}`,
  names: { part: /-hyperv\./, ending: /\.vhdx?/ },
  revision: 1,
  dependsOn: ({ settings, sourceDateEpoch }) => ({ ...settings, sourceDateEpoch }),
  write: ({ disk, key, settings, sourceDateEpoch, onProgress, signal }, file) => {
    const { container, subformat } = settings
    if (container === 'vhdx') return writeVhdx(disk, file, { uuidSeed: key }, onProgress, signal)
    const options = { subformat, uuidSeed: key, timestampSeconds: sourceDateEpoch }
    return writeHypervVhd(disk, file, options, onProgress, signal)
  },
  storage: 'blocks',
  diskSizes: ({ container }) => (container === 'vhd' ? vhdSizes : { holds: () => true }),

  hypervisors: [{ name: 'hyperv', guestOs: 'Debian GNU/Linux 12 (64-bit)' }],

  deviceModels: {
    'hyper-v': {
      summary: 'IDE disk and tulip network, as on Hyper-V before its own drivers are loaded',
      disk: ['ide-hd,bus=ide.0,drive=disk0,bootindex=0'],
      nic: 'tulip',
      // Without Microsoft's name, which alone makes Linux leave the IDE disk to the driver for Hyper-V's own bus.
      cpuFeatures: { kvm: ['hv-relaxed', 'hv-vapic', 'hv-time', 'hv-spinlocks=0x1fff'], tcg: [] },
      // Emulated CPUs cannot show Hyper-V's features.
      virtWhat: ['hyperv', 'virtualpc', 'kvm', 'qemu'],
    },
    'hyper-v-2': {
      summary: "UEFI firmware, virtio SCSI disk and network, QEMU's closest to a machine of generation 2",
      disk: ['virtio-scsi-pci,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0'],
      nic: 'virtio-net-pci',
      uefi: 'plain',
      virtWhat: ['hyperv', 'virtualpc', 'kvm', 'qemu'],
    },
  },
  deviceModelFor: () => 'hyper-v',
  uefiModels: { plain: 'hyper-v-2' },
  scenes: ['boot', 'uefi'],
  checks: {
    E3: {
      does: 'reads footer, header and tables of the VHD',
      async inspect({ source, settings, signal }) {
        const { container, subformat } = settings ?? ({ container: 'vhd', subformat: 'dynamic' } as const)
        if (source.format === 'vhdx' && container === 'vhdx') return { faults: [], observed: 'VHDX' }
        return inspectVhd(source, subformat, signal)
      },
    },
  },
})

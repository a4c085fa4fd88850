/** The disk itself, as a sparse file: for Oracle VM and any other use. */

import { z } from 'zod'
import { exportRaw } from '../formats/raw.ts'
import { hiddenCpu } from './device-model.ts'
import { defineTarget } from './target.ts'

export const raw = defineTarget({
  name: 'raw',
  rank: 2,
  archs: ['x86_64'],

  settings: z
    .strictObject({
      /** Compresses the file. */
      archive: z.enum(['none', 'bz2']).default('none'),
    })
    .prefault({}),
  cloudstack: { archive: 'bz2' },

  format: () => 'raw',
  suffix: () => 'ovm.raw',
  names: { part: /-ovm\./, ending: /\.raw|\.img/ },
  revision: 1,
  write: ({ disk, onProgress, signal }, file) => exportRaw(disk, file, onProgress, signal),
  storage: 'flattened',

  hypervisors: [{ name: 'ovm3', guestOs: 'Debian GNU/Linux 12 (64-bit)' }],

  // QEMU has none of Oracle VM's devices.
  deviceModels: {
    virtualbox: {
      summary: 'AHCI disk and e1000 network, as on VirtualBox',
      disk: ['ich9-ahci,id=ahci0', 'ide-hd,bus=ahci0.0,drive=disk0,bootindex=0'],
      nic: 'e1000',
      maker: { manufacturer: 'innotek GmbH', product: 'VirtualBox' },
      cpuFeatures: hiddenCpu,
      virtWhat: ['virtualbox'],
    },
  },
  deviceModelFor: () => 'virtualbox',
  scenes: ['virtualbox'],
  checks: {},
})

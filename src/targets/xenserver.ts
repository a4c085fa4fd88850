/** XenServer and XCP-ng: a dynamic VHD as their own tools write it. */

import { z } from 'zod'
import { writeXenVhd } from '../formats/vhd.ts'
import { vhdSizes } from '../formats/vhd-format.ts'
import { defineTarget } from './target.ts'
import { inspectVhd, vhdRules } from './vhd-rules.ts'

export const xenserver = defineTarget({
  name: 'xenserver',
  rank: 3,
  archs: ['x86_64'],

  settings: z
    .strictObject({
      /** Compresses the file. */
      archive: z.enum(['none', 'bz2']).default('none'),
    })
    .prefault({}),
  brokenRules: (_settings, surroundings) => vhdRules(surroundings),
  cloudstack: { archive: 'bz2' },

  format: () => 'vhd',
  suffix: () => 'xen.vhd',
  names: { part: /-xen\.|xenserver/ },
  revision: 1,
  dependsOn: ({ settings, sourceDateEpoch }) => ({ ...settings, sourceDateEpoch }),
  write: ({ disk, key, sourceDateEpoch, onProgress, signal }, file) =>
    writeXenVhd(disk, file, { uuidSeed: key, timestampSeconds: sourceDateEpoch }, onProgress, signal),
  storage: 'blocks',
  diskSizes: () => vhdSizes,

  hypervisors: [{ name: 'xenserver', guestOs: 'Other Linux (64-bit)' }],

  deviceModels: {
    xen: {
      summary: 'IDE disk and RTL8139 network, as Xen emulates them before its own drivers are loaded',
      disk: ['ide-hd,bus=ide.0,drive=disk0,bootindex=0'],
      nic: 'rtl8139',
      virtWhat: ['kvm', 'qemu'],
    },
  },
  deviceModelFor: () => 'xen',
  scenes: ['boot'],
  checks: {
    E4: {
      does: "reads footer, header and tables of the VHD by the rules of XenServer's own checker",
      inspect: ({ source, signal }) => inspectVhd(source, 'dynamic', signal),
    },
  },
})

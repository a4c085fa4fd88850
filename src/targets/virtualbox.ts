/** VirtualBox: an OVA with a SATA controller, which VirtualBox imports without asking questions. */

import { z } from 'zod'
import { grainSizes } from '../formats/grains.ts'
import { exportOva } from '../formats/ova.ts'
import type { OvfMachine } from '../formats/ovf.ts'
import { ovaDependencies, ovaNameRules, soundManifest } from './ova-rules.ts'
import { raw } from './raw.ts'
import { type BrokenRule, defineTarget, type Surroundings } from './target.ts'

const settings = z.strictObject({
  /** Memory in MiB, until the host gives another size. */
  memoryMiB: z
    .int()
    .min(128, 'must be at least 128 MiB')
    .multipleOf(4, 'must be a multiple of 4 MiB')
    .default(512),
  /** Processors, until the host gives another number. */
  cpus: z.int().min(1).max(64).default(1),
  /** What the network card is attached to, in VirtualBox's words. NAT needs nothing from the host. */
  network: z.enum(['none', 'NAT', 'Bridged', 'HostOnly', 'Internal']).default('NAT'),
})

/** Settings in standard OVF, which VirtualBox follows if there is no `vbox:Machine` element. */
function machineOf({ memoryMiB, cpus, network }: z.output<typeof settings>): OvfMachine {
  return {
    // With this type, E1000 means the card that VirtualBox gives Linux by default.
    hardware: 'virtualbox-2.2',
    cimType: 96,
    cpus,
    memoryMiB,
    controller: { bus: 'SATA', resourceType: 20, subType: 'AHCI' },
    nic: network === 'none' ? undefined : { subType: 'E1000', network },
    vendor: {
      prefix: 'vbox',
      namespace: 'http://www.virtualbox.org/ovf/machine',
      // VirtualBox has names with Debian's version only since 7.1.
      guestElements: { OSType: 'Debian_64' },
    },
  }
}

function kernelRules({ kernelPackage = '' }: Surroundings): readonly BrokenRule[] {
  if (!kernelPackage.includes('-cloud-')) return []
  const lacks = 'lacks the disk controller and the network card of VirtualBox'
  const rule = `${lacks}: use linux-image-amd64, or leave virtualbox out of targets`
  return [{ path: ['kernelPackage'], rule, found: kernelPackage }]
}

export const virtualbox = defineTarget({
  name: 'virtualbox',
  rank: 6,
  archs: ['x86_64'],

  settings: settings.prefault({}),
  brokenRules: (_settings, surroundings) => [
    ...kernelRules(surroundings),
    ...ovaNameRules('virtualbox', surroundings),
  ],

  format: () => 'ova',
  suffix: () => 'virtualbox.ova',
  names: { part: /-virtualbox\./ },
  revision: 1,
  dependsOn: ovaDependencies,
  takesGrains: () => true,
  write: ({ disk, key, fileName, settings, sourceDateEpoch, onProgress, signal, grains }, file) => {
    // The version in every VMDK that VirtualBox writes.
    const options = { machine: machineOf(settings), hardwareVersion: 4 }
    return exportOva(
      disk,
      file,
      { ...options, name: fileName, sourceDateEpoch, key },
      onProgress,
      signal,
      grains,
    )
  },
  storage: 'compressed',
  diskSizes: () => grainSizes,

  // Raw files are booted in the same machine.
  deviceModels: raw.deviceModels,
  deviceModelFor: () => 'virtualbox',
  scenes: ['virtualbox'],
  checks: { G3: soundManifest },
})

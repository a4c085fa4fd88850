/** VirtualBox: an OVA with a SATA controller, which its users import without a question. */

import { z } from 'zod'
import { grainSizes } from '../formats/grains.ts'
import { exportOva } from '../formats/ova.ts'
import type { OvfMachine } from '../formats/ovf.ts'
import { ovaDependencies, ovaNameRules, soundManifest } from './ova-rules.ts'
import { raw } from './raw.ts'
import { type BrokenRule, defineTarget, type Surroundings } from './target.ts'

const settings = z.strictObject({
  memoryMiB: z
    .int()
    .min(128, 'must be at least 128 MiB')
    .multipleOf(4, 'must be a multiple of 4 MiB')
    .default(512),
  cpus: z.int().min(1).max(64).default(1),
  /** What the network card is attached to, in VirtualBox's own words. With NAT it asks nothing of the host. */
  network: z.enum(['none', 'NAT', 'Bridged', 'HostOnly', 'Internal']).default('NAT'),
})

/** Without its own `vbox:Machine`, VirtualBox makes the machine of the standard's words. */
function machineOf({ memoryMiB, cpus, network }: z.output<typeof settings>): OvfMachine {
  return {
    // The first VirtualBox that read any; by it E1000 is the card that Linux is given by default.
    hardware: 'virtualbox-2.2',
    cimType: 96,
    cpus,
    memoryMiB,
    controller: { bus: 'SATA', resourceType: 20, subType: 'AHCI' },
    nic: network === 'none' ? undefined : { subType: 'E1000', network },
    vendor: {
      prefix: 'vbox',
      namespace: 'http://www.virtualbox.org/ovf/machine',
      // Names of a Debian with its number are new, and make an older VirtualBox ask.
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
    // VirtualBox writes this version into every VMDK of its own.
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

  // Where nobody has a machine of their own, the raw file is booted in this one.
  deviceModels: raw.deviceModels,
  deviceModelFor: () => 'virtualbox',
  scenes: ['virtualbox'],
  checks: { G3: soundManifest },
})

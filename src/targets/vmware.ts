/** VMware: an OVA with the disk as a streamOptimized VMDK. */

import { z } from 'zod'
import { espMount, espOf } from '../disk/layout.ts'
import { grainSizes } from '../formats/grains.ts'
import { exportOva, type OvaOptions } from '../formats/ova.ts'
import { factsOf } from '../formats/ovf-facts.ts'
import { type DeviceModel, hiddenCpu } from './device-model.ts'
import { inspectOvf, ovaDependencies, ovaNameRules, soundManifest } from './ova-rules.ts'
import { type BrokenRule, defineTarget, type Surroundings } from './target.ts'

/** Newest virtual hardware version for each ESXi release, oldest first. ESXi also runs every older version. */
const hardwareOfEsxi = {
  '5.5': 10,
  '6.0': 11,
  '6.5': 13,
  '6.7': 14,
  '6.7u2': 15,
  '7.0': 17,
  '7.0u1': 18,
  '7.0u2': 19,
  '8.0': 20,
  '8.0u2': 21,
  '9.0': 22,
} as const

type Esxi = keyof typeof hardwareOfEsxi

const esxis = Object.keys(hardwareOfEsxi) as readonly Esxi[]

/** VMware's guest names that fit a Debian system VM, with DMTF's number and the first ESXi release that knows each. */
const guests = {
  otherLinux64Guest: { cimType: 101, since: '5.5' },
  other26xLinux64Guest: { cimType: 101, since: '5.5' },
  other3xLinux64Guest: { cimType: 101, since: '5.5' },
  other4xLinux64Guest: { cimType: 101, since: '6.7' },
  other5xLinux64Guest: { cimType: 101, since: '7.0u1' },
  other6xLinux64Guest: { cimType: 101, since: '8.0' },
  other7xLinux64Guest: { cimType: 101, since: '9.0' },
  debian10_64Guest: { cimType: 96, since: '6.5' },
  debian11_64Guest: { cimType: 96, since: '7.0' },
  debian12_64Guest: { cimType: 96, since: '8.0' },
  debian13_64Guest: { cimType: 96, since: '9.0' },
} as const satisfies Record<string, { cimType: number; since: Esxi }>

type Guest = keyof typeof guests

const oneOf = (what: string, values: readonly string[]) => ({
  error: `must be ${what}: ${values.join(', ')}`,
})

/** Each setting by itself. {@link settingRules} checks how they combine. */
export const vmwareFields = z.strictObject({
  /** Version of the virtual hardware (`vmx-13`). Lower versions run on more hosts; 13 needs ESXi 6.5. */
  hardwareVersion: z.int().default(13),
  /** The oldest host that must accept the image. Not stored in the file. */
  minimumEsxi: z.enum(esxis as [Esxi, ...Esxi[]], oneOf('a release of ESXi', esxis)).default('6.5'),
  /** VMware's identifier of the guest. The default is CloudStack's; a host that does not know an identifier refuses the image. */
  guestOs: z
    .enum(
      Object.keys(guests) as [Guest, ...Guest[]],
      oneOf("VMware's name of a 64-bit Linux", Object.keys(guests)),
    )
    .default('otherLinux64Guest'),
  /** The disk's controller. */
  diskController: z.enum(['lsilogic', 'lsilogicsas', 'pvscsi']).default('lsilogic'),
  /** Memory in MiB, until the host gives another size. */
  memoryMiB: z
    .int()
    .min(128, 'must be at least 128 MiB')
    .multipleOf(4, 'must be a multiple of 4 MiB')
    .default(256),
  /** Processors, until the host gives another number. */
  cpus: z.int().min(1).max(64).default(1),
  /** Network card. CloudStack attaches its own to system VMs and expects none here. */
  nic: z.enum(['none', 'e1000', 'vmxnet3']).default('none'),
  /** Firmware of the machine; `efi` needs a disk with a partition at `/boot/efi`. */
  firmware: z.enum(['bios', 'efi']).default('bios'),
})

/** A VMware virtual machine's settings, all decided. */
export type VmwareSettings = z.output<typeof vmwareFields>

/** OVF's names, or VMware's own for devices that only VMware has. */
const controllerTypes = {
  lsilogic: 'lsilogic',
  lsilogicsas: 'lsilogicsas',
  pvscsi: 'VirtualSCSI',
} as const satisfies Record<VmwareSettings['diskController'], string>

const nicTypes = {
  e1000: 'E1000',
  vmxnet3: 'VmxNet3',
} as const satisfies Record<Exclude<VmwareSettings['nic'], 'none'>, string>

/** The virtual machine in an OVA. */
export function ovaOptions(settings: VmwareSettings): Pick<OvaOptions, 'machine' | 'hardwareVersion'> {
  const { hardwareVersion, guestOs, cpus, memoryMiB, diskController, nic, firmware } = settings
  return {
    hardwareVersion,
    machine: {
      hardware: `vmx-${String(hardwareVersion).padStart(2, '0')}`,
      cimType: guests[guestOs].cimType,
      cpus,
      memoryMiB,
      controller: { bus: 'SCSI', resourceType: 6, subType: controllerTypes[diskController] },
      nic: nic === 'none' ? undefined : { subType: nicTypes[nic], network: 'VM Network' },
      vendor: {
        prefix: 'vmw',
        namespace: 'http://www.vmware.com/schema/ovf',
        guestAttributes: { osType: guestOs },
        settings: { firmware },
      },
    },
  }
}

/** Rules that settings break in combination. If the partitions are unknown, any firmware is accepted. */
export function settingRules(
  settings: VmwareSettings,
  { partitions }: Pick<Surroundings, 'partitions'>,
): readonly BrokenRule[] {
  const broken: BrokenRule[] = []
  const breaks = (key: keyof VmwareSettings, rule: string) =>
    broken.push({ path: ['formats', 'vmware', key], rule, found: settings[key] })
  const { hardwareVersion, minimumEsxi, guestOs, firmware } = settings
  const versions = Object.values(hardwareOfEsxi)
  if (!versions.some((version) => version === hardwareVersion)) {
    breaks('hardwareVersion', `must be one that some ESXi has: ${versions.join(', ')}`)
  } else if (hardwareVersion > hardwareOfEsxi[minimumEsxi]) {
    const newest = `the newest that ESXi ${minimumEsxi} runs is ${hardwareOfEsxi[minimumEsxi]}`
    breaks('hardwareVersion', `${newest}: lower it or raise formats.vmware.minimumEsxi`)
  }
  const { since } = guests[guestOs]
  if (esxis.indexOf(since) > esxis.indexOf(minimumEsxi)) {
    const known = `needs ESXi ${since} or newer`
    breaks('guestOs', `${known}: choose an older one or raise formats.vmware.minimumEsxi`)
  }
  if (firmware === 'efi' && partitions !== undefined && espOf({ partitions }) === undefined) {
    breaks('firmware', `must be bios for a disk that has no partition at ${espMount}`)
  }
  return broken
}

function kernelRules({ kernelPackage = '' }: Surroundings): readonly BrokenRule[] {
  if (!kernelPackage.includes('-cloud-')) return []
  const lacks = "lacks the disk controller and the network card of CloudStack's system VMs on VMware"
  const rule = `${lacks}: use linux-image-amd64, or leave vmware out of targets`
  return [{ path: ['kernelPackage'], rule, found: kernelPackage }]
}

const machine = {
  maker: { manufacturer: 'VMware, Inc.', product: 'VMware Virtual Platform' },
  cpuFeatures: hiddenCpu,
  virtWhat: ['vmware'],
  // It first checks the CPU's hypervisor name in leaf 0x40000000, which QEMU only shows to KVM guests.
  failingUnits: { 'open-vm-tools.service': 'QEMU has no processor that names VMware' },
} satisfies Partial<DeviceModel>

export const vmware = defineTarget({
  name: 'vmware',
  rank: 5,
  archs: ['x86_64'],

  settings: vmwareFields.prefault({}),
  brokenRules: (settings, surroundings) => [
    ...settingRules(settings, surroundings),
    ...kernelRules(surroundings),
    ...ovaNameRules('vmware', surroundings),
  ],

  format: () => 'ova',
  suffix: () => 'vmware.ova',
  names: { part: /-vmware\./, ending: /\.ova|\.vmdk/ },
  revision: 1,
  dependsOn: ovaDependencies,
  takesGrains: () => true,
  write: ({ disk, key, fileName, settings, sourceDateEpoch, onProgress, signal, grains }, file) => {
    const options = { name: fileName, ...ovaOptions(settings), sourceDateEpoch, key }
    return exportOva(disk, file, options, onProgress, signal, grains)
  },
  storage: 'compressed',
  diskSizes: () => grainSizes,

  hypervisors: [{ name: 'vmware', guestOs: 'Other Linux (64-bit)' }],

  deviceModels: {
    'vmware-lsilogic': {
      ...machine,
      summary: "LSI SAS 1068 disk, QEMU's closest to lsilogic; e1000 network, as on VMware",
      // Without a WWN, Linux's driver does not attach the disk.
      disk: ['mptsas1068,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,wwn=0x5000c50015ea71ac,bootindex=0'],
      nic: 'e1000',
    },
    'vmware-pvscsi': {
      ...machine,
      summary: 'pvscsi disk, vmxnet3 network, as on VMware',
      disk: ['pvscsi,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0'],
      nic: 'vmxnet3',
    },
    'vmware-efi': {
      ...machine,
      // Debian's OVMF has no driver for either of VMware's SCSI controllers.
      summary: 'UEFI firmware, SATA disk, vmxnet3 network, as VMware may have them',
      disk: ['ahci,id=sata', 'ide-hd,bus=sata.0,drive=disk0,bootindex=0'],
      nic: 'vmxnet3',
      uefi: 'plain',
    },
  },
  uefiModels: { plain: 'vmware-efi' },
  deviceModelFor: (settings) => (settings?.diskController === 'pvscsi' ? 'vmware-pvscsi' : 'vmware-lsilogic'),
  scenes: ['boot', 'uefi'],
  checks: {
    E2: {
      does: 'reads the OVF in the OVA: hardware, guest, firmware, controller, memory, processors, cards',
      inspect: ({ source, settings }) =>
        inspectOvf(
          source,
          settings === undefined
            ? { hardware: 'vmx-13', guest: 'otherLinux64Guest', firmware: 'bios' }
            : factsOf(ovaOptions(settings).machine),
        ),
    },
    G3: soundManifest,
  },
})

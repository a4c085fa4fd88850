/** The description of the virtual machine that stands in an OVA beside its disk. */

import { cimTypeOf, type VmwareSettings } from '../config/vmware.ts'
import { renderTemplate } from '../template.ts'

export interface OvfView {
  /** Of the virtual machine, as an importer proposes it. */
  readonly name: string
  readonly settings: VmwareSettings
  /** Name of the disk's file in the package. */
  readonly diskFile: string
  /** Length of that file. */
  readonly diskFileBytes: number
  /** Size of the disk in the guest. */
  readonly capacityBytes: number
  /** How much of it is not zeros. */
  readonly populatedBytes: number
}

/** In the words of OVF, where VMware gave names of its own to what it does not share with others. */
const controllerTypes = {
  lsilogic: 'lsilogic',
  lsilogicsas: 'lsilogicsas',
  pvscsi: 'VirtualSCSI',
} as const satisfies Record<VmwareSettings['diskController'], string>

const nicTypes = {
  none: '',
  e1000: 'E1000',
  vmxnet3: 'VmxNet3',
} as const satisfies Record<VmwareSettings['nic'], string>

/** Below `templates/`. */
export const ovfTemplate = 'appliance.ovf.hbs'

/** An envelope of OVF 1.1. */
export function renderOvf({ settings, ...facts }: OvfView): string {
  const view = {
    ...facts,
    cimType: cimTypeOf(settings.guestOs),
    guestOs: settings.guestOs,
    virtualSystemType: `vmx-${String(settings.hardwareVersion).padStart(2, '0')}`,
    cpus: settings.cpus,
    memoryMiB: settings.memoryMiB,
    controllerType: controllerTypes[settings.diskController],
    hasNic: settings.nic !== 'none',
    nicType: nicTypes[settings.nic],
    network: 'VM Network',
    firmware: settings.firmware,
  }
  return renderTemplate(ovfTemplate, view, { xml: escapeXml })
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** A text or number for an attribute or the content of an element. */
function escapeXml(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw new Error(`${typeof value} is no text`)
  return String(value).replace(/[&<>"']/g, (character) => entities[character] as string)
}

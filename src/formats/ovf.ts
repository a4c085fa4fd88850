/** The OVF description of the virtual machine in an OVA. */

import { renderTemplate } from '../template.ts'

/** A virtual machine in the terms of OVF. */
export interface OvfMachine {
  /** Kind of virtual hardware, e.g. `vmx-13`. */
  readonly hardware: string
  /** DMTF's number for the guest's operating system, e.g. 96 for 64-bit Debian. */
  readonly cimType: number
  readonly cpus: number
  readonly memoryMiB: number
  /** The disk's controller: the bus as shown to users, DMTF's resource type, and the model. */
  readonly controller: { readonly bus: string; readonly resourceType: number; readonly subType: string }
  /** The network card's model, and the network that it is connected to. */
  readonly nic?: { readonly subType: string; readonly network: string } | undefined
  readonly vendor: OvfVendor
}

/** A vendor's additions to the standard, in its own XML namespace. */
export interface OvfVendor {
  /** e.g. `vmw` */
  readonly prefix: string
  readonly namespace: string
  /** Attributes of the operating system section, e.g. the vendor's name for the system. */
  readonly guestAttributes?: Readonly<Record<string, string>>
  readonly guestElements?: Readonly<Record<string, string>>
  /** Settings in the virtual hardware section. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface OvfView {
  /** Name of the virtual machine that importers suggest. */
  readonly name: string
  readonly machine: OvfMachine
  /** Name of the disk's file in the package. */
  readonly diskFile: string
  /** Length of that file. */
  readonly diskFileBytes: number
  /** Size of the disk in the guest. */
  readonly capacityBytes: number
  /** How many of these bytes are not zeros. */
  readonly populatedBytes: number
}

/** In `templates/`. */
export const ovfTemplate = 'appliance.ovf.hbs'

/** An OVF 1.1 envelope. */
export function renderOvf({ machine, ...facts }: OvfView): string {
  const { nic, vendor, ...hardware } = machine
  const view = {
    ...facts,
    ...hardware,
    nics: nic === undefined ? [] : [nic],
    prefix: vendor.prefix,
    namespace: vendor.namespace,
    guestAttributes: vendor.guestAttributes ?? {},
    guestElements: vendor.guestElements ?? {},
    settings: vendor.settings ?? {},
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

/** Escapes a string or number for an attribute or an element's content. */
function escapeXml(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw new Error(`${typeof value} is no text`)
  return String(value).replace(/[&<>"']/g, (character) => entities[character] as string)
}

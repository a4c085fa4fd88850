/** The description of the virtual machine that stands in an OVA beside its disk. */

import { renderTemplate } from '../template.ts'

/** A virtual machine in OVF's own words. */
export interface OvfMachine {
  /** Kind of virtual hardware, e.g. `vmx-13`. */
  readonly hardware: string
  /** DMTF's number of the guest's operating system, e.g. 96 for 64-bit Debian. */
  readonly cimType: number
  readonly cpus: number
  readonly memoryMiB: number
  /** What the disk hangs on: its bus for people, DMTF's number of such controllers, and which of them it is. */
  readonly controller: { readonly bus: string; readonly resourceType: number; readonly subType: string }
  /** Which card, and the name of the network that it is in. */
  readonly nic?: { readonly subType: string; readonly network: string } | undefined
  readonly vendor: OvfVendor
}

/** What a vendor adds to the standard, all of it in a namespace of its own. */
export interface OvfVendor {
  /** e.g. `vmw` */
  readonly prefix: string
  readonly namespace: string
  /** Of the operating system: the vendor's name of it, for one. */
  readonly guestAttributes?: Readonly<Record<string, string>>
  readonly guestElements?: Readonly<Record<string, string>>
  /** Of the virtual hardware, as pairs of key and value. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface OvfView {
  /** Of the virtual machine, as an importer proposes it. */
  readonly name: string
  readonly machine: OvfMachine
  /** Name of the disk's file in the package. */
  readonly diskFile: string
  /** Length of that file. */
  readonly diskFileBytes: number
  /** Size of the disk in the guest. */
  readonly capacityBytes: number
  /** How much of it is not zeros. */
  readonly populatedBytes: number
}

/** Below `templates/`. */
export const ovfTemplate = 'appliance.ovf.hbs'

/** An envelope of OVF 1.1. */
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

/** A text or number for an attribute or the content of an element. */
function escapeXml(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw new Error(`${typeof value} is no text`)
  return String(value).replace(/[&<>"']/g, (character) => entities[character] as string)
}

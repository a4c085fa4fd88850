/** The facts about the virtual machine in an OVF that concern an administrator. */

import type { OvfMachine } from './ovf.ts'

export interface OvfFacts {
  readonly hardware: string | undefined
  /** The vendor's name for the guest's operating system. */
  readonly guest: string | undefined
  readonly cimType: number
  readonly firmware: string
  /** In lowercase. */
  readonly controller: string | undefined
  readonly memoryMiB: number
  readonly cpus: number
  /** Number of network cards. */
  readonly cards: number
}

/** DMTF's resource type numbers. */
const types = { cpus: 3, memory: 4, controllers: [5, 6, 20], cards: 10 } as const

export function readOvf(xml: string): OvfFacts {
  const value = (pattern: RegExp) => pattern.exec(xml)?.[1]
  const ended = xml.split('</Item>').slice(0, -1)
  const items = ended.map((text) => text.slice(text.lastIndexOf('<Item')))
  const ofType = (...wanted: readonly number[]) =>
    items.filter((item) => wanted.includes(Number(/<rasd:ResourceType>(\d+)</.exec(item)?.[1])))
  const quantity = (type: number) => Number(/<rasd:VirtualQuantity>(\d+)</.exec(ofType(type)[0] ?? '')?.[1])
  const subType = /<rasd:ResourceSubType>([^<]+)</.exec(ofType(...types.controllers)[0] ?? '')?.[1]
  return {
    hardware: value(/VirtualSystemType>([^<]+)</),
    // VMware uses an attribute, and VirtualBox an element.
    guest: value(/\b\w+:osType(?:="|\b[^>]{0,200}>)([^"<]+)/i),
    cimType: Number(value(/<OperatingSystemSection\b[^>]{0,200}\bovf:id="(\d+)"/)),
    firmware: value(/\bvmw:key="firmware"\s+vmw:value="([^"]+)"/) ?? 'bios',
    controller: subType?.toLowerCase(),
    memoryMiB: quantity(types.memory),
    cpus: quantity(types.cpus),
    cards: ofType(types.cards).length,
  }
}

/** The facts of this machine's description. */
export function factsOf({
  hardware,
  cimType,
  cpus,
  memoryMiB,
  controller,
  nic,
  vendor,
}: OvfMachine): OvfFacts {
  return {
    hardware,
    guest: vendor.guestAttributes?.osType ?? vendor.guestElements?.OSType,
    cimType,
    firmware: vendor.settings?.firmware ?? 'bios',
    controller: controller.subType.toLowerCase(),
    memoryMiB,
    cpus,
    cards: nic === undefined ? 0 : 1,
  }
}

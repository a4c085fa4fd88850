/** Readers of an OVF other than its writer: DMTF's rules for the envelope (DSP0243 and DSP8023, 1.1), and CloudStack. */

import { DOMParser, type Document, type Element } from '@xmldom/xmldom'

const envelope = 'http://schemas.dmtf.org/ovf/envelope/1'
const cim = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2'
const spaces = {
  rasd: `${cim}/CIM_ResourceAllocationSettingData`,
  vssd: `${cim}/CIM_VirtualSystemSettingData`,
}

function parse(xml: string): Document {
  const onError = (_level: string, message: string) => {
    throw new Error(message)
  }
  return new DOMParser({ onError }).parseFromString(xml, 'text/xml')
}

function childrenOf(element: Element): Element[] {
  return Array.from(element.childNodes).filter((node): node is Element => node.nodeType === 1)
}

const attribute = (element: Element, name: string) => element.getAttributeNS(envelope, name) ?? ''

/** Every DMTF rule that an envelope breaks. */
export function ovfFaults(xml: string): string[] {
  const faults: string[] = []
  const demand = (holds: boolean, rule: string) => {
    if (!holds) faults.push(rule)
  }
  const need = (element: Element, ...names: string[]) => {
    for (const name of names) demand(attribute(element, name) !== '', `${element.tagName} needs ovf:${name}`)
  }
  const root = parse(xml).documentElement as Element
  demand(root.localName === 'Envelope' && root.namespaceURI === envelope, 'the root is an Envelope of OVF 1')
  const all = Array.from(root.getElementsByTagName('*'))
  for (const element of all) {
    for (const { name, namespaceURI } of Array.from(element.attributes)) {
      demand((namespaceURI ?? '') !== '', `${element.tagName} has ${name} without a namespace`)
    }
  }
  const named = (name: string) =>
    all.filter(({ localName, namespaceURI }) => localName === name && namespaceURI === envelope)
  const order = (element: Element, pattern: RegExp) => {
    const names = childrenOf(element).map(({ localName, namespaceURI }) =>
      namespaceURI === envelope ? localName : 'Other',
    )
    demand(pattern.test(names.join(' ')), `${element.localName} has ${names.join(' ')}`)
  }
  const unique = (what: string, values: readonly string[]) =>
    demand(new Set(values).size === values.length, `${what} are unique: ${values.join(', ')}`)

  order(root, /^References( (Disk|Network)Section)* VirtualSystem( Strings)*$/)
  for (const section of all.filter(({ localName }) => localName?.endsWith('Section')))
    order(section, /^Info\b/)
  for (const file of named('File')) {
    need(file, 'id', 'href')
    demand(/^\d*$/.test(attribute(file, 'size')), 'the size of a File is a number')
  }
  for (const disk of named('Disk')) {
    need(disk, 'diskId', 'capacity')
    demand(/^(\d+|\$\{.+\})$/.test(attribute(disk, 'capacity')), 'the capacity of a Disk is a number')
    demand(/^\d*$/.test(attribute(disk, 'populatedSize')), 'the populated size of a Disk is a number')
  }
  for (const network of named('Network')) need(network, 'name')
  for (const system of named('VirtualSystem')) {
    need(system, 'id')
    order(system, /^Info( Name)?( \w+Section)*$/)
  }
  for (const section of named('OperatingSystemSection')) {
    demand(
      /^\d{1,5}$/.test(attribute(section, 'id')),
      'the id of an OperatingSystemSection is a short number',
    )
    order(section, /^Info( Description)?( Other)*$/)
  }
  demand(named('VirtualHardwareSection').length === 1, 'a VirtualSystem has a VirtualHardwareSection')
  for (const section of named('VirtualHardwareSection')) order(section, /^Info( System)?( Item)*( Other)*$/)

  for (const [element, space] of [
    ...named('System').map((system) => [system, spaces.vssd] as const),
    ...named('Item').map((item) => [item, spaces.rasd] as const),
  ]) {
    const children = childrenOf(element)
    const names = children.map(({ localName }) => localName ?? '')
    demand(
      children.every(({ namespaceURI }) => namespaceURI === space),
      `${element.localName} has only elements of ${space}`,
    )
    // CIM's schema is a sequence in alphabetical order.
    demand(
      [...names].sort().join() === names.join(),
      `${element.localName} has ${names.join(', ')} out of order`,
    )
    unique(`elements of ${element.localName}`, names)
    for (const name of [
      'ElementName',
      'InstanceID',
      ...(element.localName === 'Item' ? ['ResourceType'] : []),
    ]) {
      demand(names.includes(name), `${element.localName} needs ${name}`)
    }
  }

  const values = (name: string) =>
    all.filter((element) => element.localName === name && element.namespaceURI === spaces.rasd).map(textOf)
  const ids = (name: string, id: string) => named(name).map((element) => attribute(element, id))
  unique('ids of Files', ids('File', 'id'))
  unique('ids of Disks', ids('Disk', 'diskId'))
  unique('ids of Items', values('InstanceID'))
  const refers = (from: string, found: readonly string[], to: readonly string[]) => {
    for (const value of found) demand(to.includes(value), `${from} names ${value}, which is not there`)
  }
  refers('fileRef', ids('Disk', 'fileRef'), ids('File', 'id'))
  const disks = ids('Disk', 'diskId').map((id) => `ovf:/disk/${id}`)
  refers('HostResource', values('HostResource'), disks)
  refers('Parent', values('Parent'), values('InstanceID'))
  refers('Connection', values('Connection'), ids('Network', 'name'))
  return faults
}

const textOf = (element: Element) => element.textContent ?? ''

/** What CloudStack's management server reads from the description of a template. */
export interface CloudStackReading {
  readonly virtualSizeBytes: number
  readonly disks: readonly {
    readonly href: string
    readonly fileBytes: number
    readonly virtualSizeBytes: number
    readonly controller: string
  }[]
  /** Network cards: it would require a network for each. */
  readonly connections: readonly string[]
}

/** Reads the way CloudStack does: element and attribute names as written, without regard to namespaces. */
export function readAsCloudStack(xml: string): CloudStackReading {
  const document = parse(xml)
  const elements = (name: string) => Array.from(document.getElementsByTagName(name))
  const units: Readonly<Record<string, number>> = {
    'byte * 2^10': 2 ** 10,
    'byte * 2^20': 2 ** 20,
    'byte * 2^30': 2 ** 30,
  }
  const sizeOf = (disk: Element) =>
    Number(disk.getAttribute('ovf:capacity')) *
    (units[disk.getAttribute('ovf:capacityAllocationUnits') ?? ''] ?? 1)
  const items = elements('Item')
  const value = (item: Element | undefined, name: string) =>
    item?.getElementsByTagName(`rasd:${name}`)[0]?.textContent ?? ''
  const disks = elements('Disk')
  return {
    virtualSizeBytes: disks.reduce((sum, disk) => sum + sizeOf(disk), 0),
    disks: disks.map((disk) => {
      const file = elements('File').find(
        (one) => one.getAttribute('ovf:id') === disk.getAttribute('ovf:fileRef'),
      )
      const id = disk.getAttribute('ovf:diskId')
      const item = items.find((one) => value(one, 'HostResource').includes(`ovf:/disk/${id}`))
      const parent = value(item, 'Parent')
      const controller = items.find((one) => value(one, 'InstanceID').trim() === parent)
      return {
        href: file?.getAttribute('ovf:href') ?? '',
        fileBytes: Number(file?.getAttribute('ovf:size')),
        virtualSizeBytes: sizeOf(disk),
        controller: value(controller, 'ResourceSubType'),
      }
    }),
    connections: elements('rasd:Connection').map(textOf),
  }
}

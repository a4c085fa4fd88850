import { describe, expect, it } from 'vitest'
import { type OvfView, renderOvf } from '../../../src/formats/ovf.ts'
import { ovaOptions, vmwareFields } from '../../../src/targets/vmware.ts'
import { ovfFaults, readAsCloudStack } from '../../support/ovf-rules.ts'

type Settings = Parameters<typeof vmwareFields.parse>[0]

function render(settings: Settings = {}, over: Partial<OvfView> = {}): string {
  return renderOvf({
    name: 'sample',
    machine: ovaOptions(vmwareFields.parse(settings)).machine,
    diskFile: 'sample-disk1.vmdk',
    diskFileBytes: 123_456,
    capacityBytes: 5040 * 2 ** 20,
    populatedBytes: 65_536,
    ...over,
  })
}

const everything = { nic: 'vmxnet3', diskController: 'pvscsi', firmware: 'efi', hardwareVersion: 20 } as const

describe('the description of a virtual machine', () => {
  it.each([
    ['as CloudStack wants it', {}],
    ['with a card', { nic: 'e1000' }],
    ['with everything else', everything],
  ])('%s keeps the rules of DMTF', (_case, settings) => {
    expect(ovfFaults(render(settings))).toEqual([])
  })

  it('says what CloudStack has to know', () => {
    expect(readAsCloudStack(render())).toEqual({
      virtualSizeBytes: 5_284_823_040,
      disks: [
        {
          href: 'sample-disk1.vmdk',
          fileBytes: 123_456,
          virtualSizeBytes: 5_284_823_040,
          controller: 'lsilogic',
        },
      ],
      connections: [],
    })
  })

  it('is the machine that the settings ask for', () => {
    const plain = render()
    expect(plain).toContain('<vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>')
    expect(plain).toContain('<OperatingSystemSection ovf:id="101" vmw:osType="otherLinux64Guest">')
    expect(plain).toContain('<rasd:VirtualQuantity>256</rasd:VirtualQuantity>')
    expect(plain).toContain('vmw:key="firmware" vmw:value="bios"')
    expect(plain).not.toContain('Network')
    const other = render({ ...everything, guestOs: 'debian12_64Guest', memoryMiB: 512, cpus: 2 })
    expect(other).toContain('vmx-20')
    expect(other).toContain('<OperatingSystemSection ovf:id="96" vmw:osType="debian12_64Guest">')
    expect(other).toContain('<rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>')
    expect(other).toContain('<rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>')
    expect(other).toContain('<rasd:VirtualQuantity>512</rasd:VirtualQuantity>')
    expect(other).toContain('<rasd:VirtualQuantity>2</rasd:VirtualQuantity>')
    expect(other).toContain('vmw:key="firmware" vmw:value="efi"')
    expect(readAsCloudStack(other).connections).toEqual(['VM Network'])
  })

  it('has two digits of a hardware version', () => {
    const settings = { ...vmwareFields.parse({}), hardwareVersion: 8 }
    expect(render({}, ovaOptions(settings))).toContain('vmx-08')
  })

  it('quotes what XML would take for its own', () => {
    const name = `a<b>&"c'`
    const xml = render({}, { name, diskFile: `${name}.vmdk` })
    expect(ovfFaults(xml)).toEqual([])
    expect(xml).toContain('<Name>a&lt;b&gt;&amp;&quot;c&apos;</Name>')
    expect(readAsCloudStack(xml).disks[0]?.href).toBe(`${name}.vmdk`)
  })
})

describe('a description that is not right', () => {
  const bent = (from: string | RegExp, to: string) => {
    const xml = render({ nic: 'e1000' })
    const changed = xml.replace(from, to)
    expect(changed).not.toBe(xml)
    return changed
  }

  it.each<[string, string | RegExp, string, RegExp]>([
    ['an envelope of OVF 2', 'xmlns="http://schemas.dmtf.org/ovf/envelope/1"', 'xmlns="urn:2"', /root/],
    [
      'a section before the references',
      /(<References>[\s\S]*<\/References>)([\s\S]*<\/DiskSection>)/,
      '$2$1',
      /^Envelope has DiskSection/,
    ],
    ['a file without a name', / ovf:href="[^"]*"/, '', /^File needs ovf:href/],
    ['an attribute without a namespace', 'ovf:size', 'size', /^File has size/],
    ['a size that is no number', /ovf:size="\d+"/, 'ovf:size="5 MB"', /size of a File/],
    ['a disk without a capacity', / ovf:capacity="\d+"/, '', /^Disk needs ovf:capacity/],
    [
      'a disk of a file that is not there',
      'ovf:fileRef="file1"',
      'ovf:fileRef="file2"',
      /^fileRef names file2/,
    ],
    ['a section without a word about it', '<Info>Virtual disks</Info>', '', /^DiskSection has Disk/],
    [
      'a name before the word about it',
      /(<Info>A virtual machine<\/Info>)\s*(<Name>.*<\/Name>)/,
      '$2$1',
      /^VirtualSystem has Name/,
    ],
    ['an operating system without a number', 'ovf:id="101"', 'ovf:id="linux"', /OperatingSystemSection/],
    [
      'no hardware',
      /<VirtualHardwareSection>[\s\S]*<\/VirtualHardwareSection>/,
      '',
      /has a VirtualHardwareSection/,
    ],
    [
      'settings of VMware before an item',
      /(<Item>[\s\S]*<\/Item>)\s*(<vmw:Config.*\/>)/,
      '$2$1',
      /^VirtualHardwareSection has/,
    ],
    [
      'elements out of order',
      /(<rasd:Parent>3<\/rasd:Parent>)\s*(<rasd:ResourceType>17<\/rasd:ResourceType>)/,
      '$2$1',
      /out of order/,
    ],
    ['an item without a type', '<rasd:ResourceType>17</rasd:ResourceType>', '', /^Item needs ResourceType/],
    ['two items of one number', '<rasd:InstanceID>4<', '<rasd:InstanceID>3<', /ids of Items/],
    ['a disk on no controller', '<rasd:Parent>3<', '<rasd:Parent>9<', /^Parent names 9/],
    ['a drive without a disk', 'ovf:/disk/disk1', 'ovf:/disk/disk2', /^HostResource names/],
    ['a card in no network', 'ovf:name="VM Network"', 'ovf:name="LAN"', /^Connection names VM Network/],
  ])('%s breaks a rule', (_case, from, to, rule) => {
    expect(ovfFaults(bent(from, to))).toContainEqual(expect.stringMatching(rule))
  })

  it('has no size for CloudStack where its elements have a prefix', () => {
    expect(readAsCloudStack(bent(/<Disk /, '<ovf:Disk ')).virtualSizeBytes).toBe(0)
  })
})

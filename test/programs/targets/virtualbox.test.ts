/** The file for VirtualBox: the machine that it describes. VirtualBox itself is a judge of `npm run test:judges`. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { targetFaults } from '../../../src/config/target-rules.ts'
import { locateDisk } from '../../../src/disk/disk-source.ts'
import { readMember } from '../../../src/disk/tar.ts'
import { readOvf } from '../../../src/formats/ovf-facts.ts'
import { formatFields } from '../../../src/targets/registry.ts'
import { virtualbox } from '../../../src/targets/virtualbox.ts'
import { makeRawDisk, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'
import { ovfFaults } from '../../support/ovf-rules.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const { signal } = new AbortController()

describeWith(['qemu-img'], 'a file for VirtualBox', () => {
  const make = async (written: Parameters<typeof formatFields.virtualbox.parse>[0] = {}) => {
    const job = {
      disk: makeRawDisk(path('disk.raw'), 2 ** 20, { 0: words('start', 70_000) }),
      settings: formatFields.virtualbox.parse(written),
      fileName: 'sample',
      sourceDateEpoch: 1_767_312_000,
      key: 'key',
      grains: undefined,
      onProgress: () => undefined,
      signal,
    }
    await virtualbox.write(job, path('image.ova'))
    const source = await locateDisk(path('image.ova'))
    const [descriptor] = source.members
    return { source, xml: await readMember(source.file, descriptor as (typeof source.members)[number]) }
  }

  it('keeps the rules of DMTF, with a card and without one', async () => {
    for (const network of ['NAT', 'none'] as const) {
      const { xml } = await make({ network })
      expect(ovfFaults(xml)).toEqual([])
      expect(xml).not.toContain('vmw:')
    }
  })

  it('describes a Debian with its disk on a SATA controller', async () => {
    const { xml } = await make()
    expect(readOvf(xml)).toEqual({
      hardware: 'virtualbox-2.2',
      guest: 'Debian_64',
      cimType: 96,
      firmware: 'bios',
      controller: 'ahci',
      memoryMiB: 512,
      cpus: 1,
      cards: 1,
    })
    expect(xml).toContain('<rasd:ResourceType>20</rasd:ResourceType>')
    expect(xml).toContain('<rasd:Connection>NAT</rasd:Connection>')
    const other = readOvf((await make({ network: 'none', memoryMiB: 1024, cpus: 2 })).xml)
    expect(other).toMatchObject({ cards: 0, memoryMiB: 1024, cpus: 2 })
  })

  it('has a manifest that holds, and is found out when it does not', async () => {
    const { source } = await make()
    const inspect = () =>
      virtualbox.checks.G3?.inspect({ source, settings: undefined, diskBytes: undefined, signal })
    expect(await inspect()).toMatchObject({ faults: [] })
    expect(readFileSync(path('image.ova'), 'latin1')).toContain('SHA256(sample-disk1.vmdk)= ')
  })
})

describe('the rules of VirtualBox', () => {
  it('refuse a kernel without its drivers, and names that an OVF cannot have', async () => {
    const { formats } = await sampleImage(path())
    const ask = (surroundings: Parameters<typeof targetFaults>[2]) =>
      targetFaults(['virtualbox'], formats, surroundings, []).map(({ path: at }) => at)
    expect(ask({ kernelPackage: 'linux-image-cloud-amd64' })).toEqual(['kernelPackage'])
    expect(ask({ fileName: 'a#b' })).toEqual(['name'])
    expect(ask({ kernelPackage: 'linux-image-amd64', fileName: 'a' })).toEqual([])
  })
})

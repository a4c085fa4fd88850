/** Checks of the files themselves: what a hypervisor's tools read before anything is booted. */

import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { cimTypeOf } from '../../config/vmware.ts'
import { checkImage, readImageInfo } from '../../disk/qemu-img.ts'
import { hashMember, readMember } from '../../disk/tar.ts'
import { algorithms, computeChecksums, parseSums } from '../../export/checksums.ts'
import { checkVhd } from '../../export/vhd-check.ts'
import { type FileCheck, judge, skipped } from '../check.ts'
import type { Expected } from '../expected.ts'

const mebibyte = 1024 ** 2

const qcow2: FileCheck = {
  id: 'A1',
  group: 'file',
  at: 'file',
  targets: ['kvm'],
  does: 'reads the header by qemu-img info, and every cluster by qemu-img check',
  run: async ({ source, expected, signal }) => {
    if (source.format !== 'qcow2') return judge([`it is a ${source.format}`], '')
    const facts = await readImageInfo(source.node, signal)
    const { status, said, compressedClusters: compressed } = await checkImage(source.node, signal)
    const { compat, 'compression-type': compression = 'zlib' } = facts['format-specific']?.data ?? {}
    const { formats, diskBytes } = expected
    const faults = [
      ...(status === 'sound' ? [] : [`qemu-img check: ${said}`]),
      ...(facts['backing-filename'] === undefined ? [] : [`it stands on ${facts['backing-filename']}`]),
      ...(compressed > 0 ? [] : ['no cluster is compressed']),
      ...(facts['dirty-flag'] ? ['it was not closed'] : []),
      ...differs('compat', compat, formats?.kvm.compat),
      ...differs('compression', compression, formats?.kvm.compression ?? 'zlib'),
      ...differs('bytes', facts['virtual-size'], diskBytes),
    ]
    const size = `${facts['virtual-size'] / mebibyte} MiB`
    return judge(faults, `qcow2 compat ${compat}, ${compression}, ${size}, ${compressed} compressed clusters`)
  },
}

const packing: FileCheck = {
  id: 'A2',
  group: 'file',
  at: 'file',
  does: 'reads the ending of its name',
  run: async ({ source, packedAs }) => {
    const faults = /\.(xz|zst|lzma|7z)$/.test(packedAs)
      ? [`${basename(packedAs)} is an archive of no known kind`]
      : []
    return judge(faults, packedAs === source.file ? `plain ${source.format}` : basename(packedAs))
  },
}

const sums: FileCheck = {
  id: 'A3',
  group: 'file',
  at: 'file',
  does: 'computes the sums and compares them with md5sum.txt, sha256sum.txt and sha512sum.txt beside it',
  run: async ({ packedAs, signal }) => {
    const folder = dirname(packedAs)
    const found = await Promise.all(
      algorithms.map(async (algorithm) => {
        const list = await readFile(join(folder, `${algorithm}sum.txt`), 'utf8').catch(() => undefined)
        return [algorithm, list] as const
      }),
    )
    const lists = found.flatMap(([algorithm, list]) =>
      list === undefined ? [] : [[algorithm, list] as const],
    )
    if (lists.length === 0) return skipped('there are no lists of sums beside the file')
    const computed = await computeChecksums(packedAs, signal)
    const faults = lists.flatMap(([algorithm, list]) =>
      differs(`${algorithm}sum.txt`, parseSums(list).get(basename(packedAs)), computed[algorithm]),
    )
    if (!lists.some(([algorithm]) => algorithm === 'sha512')) faults.push('there is no sha512sum.txt')
    return judge(faults, `${lists.map(([algorithm]) => algorithm).join(', ')}: ${computed.sha256}`)
  },
}

const ova: FileCheck = {
  id: 'E2',
  group: 'file',
  at: 'file',
  targets: ['vmware'],
  does: 'reads the OVF in the OVA: hardware, guest, firmware, controller, memory, processors, cards',
  run: async ({ source, expected }) => {
    const descriptor = source.members.find(({ name }) => name.endsWith('.ovf'))
    if (descriptor === undefined) return judge([`it is a ${source.format} without an .ovf`], '')
    const facts = readOvf(await readMember(source.file, descriptor))
    const wanted = ovfOf(expected)
    const faults = Object.entries(wanted).flatMap(([name, value]) =>
      differs(name, facts[name as keyof typeof facts], value),
    )
    if (descriptor !== source.members[0]) faults.push('the .ovf does not come first')
    return judge(
      faults,
      Object.entries(facts)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
    )
  },
}

/** What CloudStack's administrators see of an OVF. */
function readOvf(xml: string) {
  const value = (pattern: RegExp) => pattern.exec(xml)?.[1]
  const items = [...xml.matchAll(/<Item\b[^>]*>([\s\S]*?)<\/Item>/g)].map(([, item = '']) => item)
  const ofType = (type: number) => items.filter((item) => item.includes(`<rasd:ResourceType>${type}</`))
  const quantity = (type: number) => /<rasd:VirtualQuantity>(\d+)</.exec(ofType(type)[0] ?? '')?.[1]
  return {
    hardware: value(/VirtualSystemType>([^<]+)</),
    guest: value(/vmw:osType="([^"]+)"/),
    cimType: Number(value(/<OperatingSystemSection\b[^>]*\bovf:id="(\d+)"/)),
    firmware: value(/vmw:key="firmware"\s+vmw:value="([^"]+)"/) ?? 'bios',
    controller: /<rasd:ResourceSubType>([^<]+)</.exec(ofType(6)[0] ?? '')?.[1]?.toLowerCase(),
    memoryMiB: Number(quantity(4)),
    cpus: Number(quantity(3)),
    cards: ofType(10).length,
  }
}

const controllerTypes = { lsilogic: 'lsilogic', lsilogicsas: 'lsilogicsas', pvscsi: 'virtualscsi' } as const

/** By the configuration, or else CloudStack's own. */
function ovfOf({ formats }: Expected): Partial<ReturnType<typeof readOvf>> {
  const vmware = formats?.vmware
  if (vmware === undefined) return { hardware: 'vmx-13', guest: 'otherLinux64Guest', firmware: 'bios' }
  return {
    hardware: `vmx-${vmware.hardwareVersion}`,
    guest: vmware.guestOs,
    cimType: cimTypeOf(vmware.guestOs),
    firmware: vmware.firmware,
    controller: controllerTypes[vmware.diskController],
    memoryMiB: vmware.memoryMiB,
    cpus: vmware.cpus,
    cards: vmware.nic === 'none' ? 0 : 1,
  }
}

const manifest: FileCheck = {
  id: 'G3',
  group: 'file',
  at: 'file',
  targets: ['vmware'],
  does: 'computes the sum of each file in the OVA and compares it with the manifest',
  run: async ({ source, signal }) => {
    const member = source.members.find(({ name }) => name.endsWith('.mf'))
    if (member === undefined) return judge([`it is a ${source.format} without a manifest`], '')
    const lines = [...(await readMember(source.file, member)).matchAll(/^(SHA\d+)\((.+)\)= ([0-9a-f]+)$/gm)]
    const listed = new Set(lines.map(([, , name]) => name))
    const faults = source.members.flatMap(({ name }) =>
      name === member.name || listed.has(name) ? [] : [`${name} is not in the manifest`],
    )
    for (const [, algorithm = '', name = '', sum] of lines) {
      const part = source.members.find((candidate) => candidate.name === name)
      if (part === undefined) faults.push(`${name} is not in the OVA`)
      else
        faults.push(
          ...differs(name, await hashMember(source.file, part, algorithm.toLowerCase(), signal), sum),
        )
    }
    return judge(faults, `${lines.length} files as their ${lines[0]?.[1]} says`)
  },
}

const hypervVhd: FileCheck = {
  id: 'E3',
  group: 'file',
  at: 'file',
  targets: ['hyperv'],
  does: 'reads footer, header and tables of the VHD',
  run: async ({ source, expected }) => {
    const { container = 'vhd', subformat = 'dynamic' } = expected.formats?.hyperv ?? {}
    if (source.format === 'vhdx' && container === 'vhdx') return judge([], 'VHDX')
    return checkVhdFile(source.file, source.format, subformat)
  },
}

const xenVhd: FileCheck = {
  id: 'E4',
  group: 'file',
  at: 'file',
  targets: ['xenserver'],
  does: "reads footer, header and tables of the VHD by the rules of XenServer's own checker",
  run: ({ source }) => checkVhdFile(source.file, source.format, 'dynamic'),
}

async function checkVhdFile(file: string, format: string, subformat: string) {
  if (format !== 'vhd') return judge([`it is a ${format}`], '')
  // A dynamic one has a copy of its footer in front.
  const found = await readMember(file, { offset: 0, sizeBytes: 8 })
  const kind = found === 'conectix' ? 'dynamic' : 'fixed'
  return judge([...differs('subformat', kind, subformat), ...(await checkVhd(file))], `${kind} VHD, sound`)
}

function differs(what: string, found: unknown, expected: unknown): string[] {
  if (expected === undefined || found === expected) return []
  return [`${what} is ${found ?? 'missing'}, expected ${expected}`]
}

export const fileChecks: readonly FileCheck[] = [qcow2, packing, sums, ova, manifest, hypervVhd, xenVhd]

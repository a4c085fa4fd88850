/** The rules for a disk that every hypervisor's format can represent exactly and every installer can create. */

import { type Arch, archs } from '../arch.ts'
import { espMount, type Partition } from '../disk/layout.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { diskUnitMiB } from './image.ts'
import { type Overrides, originOf } from './overrides.ts'
import type { PipelineFields } from './pipeline.ts'

/** MiB kept free for the partition table, the boot loader, and each logical partition's boot record. */
const alignmentMiB = 1

const minimumRootMiB = 256

/** Which image the disk belongs to, and its path in the pipeline. */
export interface DiskPlace {
  readonly arch: Arch
  readonly at: readonly PropertyKey[]
}

/** Every rule that the disk breaks. */
export function diskFaults(
  disk: PipelineFields['disk'],
  { arch, at: top }: DiskPlace,
  overrides: readonly Overrides[],
): Fault[] {
  const faults: Fault[] = []
  const fault = (below: PropertyKey[], rule: string, found?: unknown) => {
    const path = [...top, ...below]
    faults.push({ path: formatPath(path), rule, found: formatFound(found), ...originOf(overrides, path) })
  }
  const { sizeMiB, partitions } = disk
  if (sizeMiB % diskUnitMiB !== 0) {
    const below = Math.floor(sizeMiB / diskUnitMiB) * diskUnitMiB
    const near = below === 0 ? `${diskUnitMiB}` : `${below} or ${below + diskUnitMiB}`
    const rule = `must be a multiple of ${diskUnitMiB} MiB, or some hypervisor's format would round it: try ${near}`
    fault(['sizeMiB'], rule, sizeMiB)
  }
  partitions.forEach((partition, index) => {
    const at = ['partitions', index]
    const isLast = index === partitions.length - 1
    if (partition.grow !== isLast) {
      fault([...at, 'grow'], isLast ? 'the last partition must grow' : 'only the last partition may grow')
    }
    if (partition.grow === (partition.sizeMiB !== undefined)) {
      const rule = partition.grow ? 'must be absent where grow is set' : 'must be given'
      fault([...at, 'sizeMiB'], rule, partition.sizeMiB)
    }
    if ((partition.filesystem === 'swap') !== (partition.mount === undefined)) {
      fault([...at, 'mount'], 'must be given for a filesystem, and only for one', partition.mount)
    }
    if (partition.primary && partitions.slice(0, index).some((before) => !before.primary)) {
      fault([...at, 'primary'], 'primary partitions must come before logical ones')
    }
  })
  const primaries = partitions.filter((partition) => partition.primary).length
  if (primaries > (primaries === partitions.length ? 4 : 3)) {
    fault(['partitions'], 'must have at most 4 primary partitions, or 3 if there are logical ones', primaries)
  }
  if (!partitions.some((partition) => partition.mount === '/')) {
    fault(['partitions'], 'one partition must be mounted at /')
  }
  const mounts = partitions.flatMap((partition) => partition.mount ?? [])
  for (const mount of new Set(mounts.filter((mount, index) => mounts.indexOf(mount) !== index))) {
    fault(['partitions'], `${mount} is mounted twice`)
  }
  firmwareFaults(disk, arch, fault)
  const needed = requiredMiB(partitions as readonly Partition[])
  if (sizeMiB < needed) {
    const rule = `too small for its partitions, which need ${needed} MiB with at least ${minimumRootMiB} for the last`
    fault(['sizeMiB'], rule, sizeMiB)
  }
  return faults
}

function requiredMiB(partitions: readonly Partition[]): number {
  const fixed = partitions.reduce((sum, partition) => sum + (partition.sizeMiB ?? minimumRootMiB), 0)
  return fixed + alignmentMiB * (partitions.length + 1)
}

type Report = (below: PropertyKey[], rule: string, found?: unknown) => void

/** FAT32, which every UEFI firmware reads, has at least 65,525 clusters of one sector each, and two tables of them. */
const smallestEspMiB = 34

/** What an architecture's firmware boots from. */
function firmwareFaults(
  { table, secureBoot, partitions }: PipelineFields['disk'],
  arch: Arch,
  fault: Report,
): void {
  const wanted = archs[arch].table
  if ((table ?? 'mbr') !== wanted) {
    const own = arch === 'x86_64' ? '' : `: give it a disk of its own in architectures.${arch}.disk`
    const rule =
      wanted === 'gpt'
        ? `must be gpt for ${arch}${own}`
        : `must be left out for ${arch}: its BIOS starts from an MBR`
    fault(['table'], rule, table)
    return
  }
  const esp = partitions.findIndex(({ mount }) => mount === espMount)
  if (wanted === 'gpt' && esp === -1)
    fault(
      ['partitions'],
      `one must be mounted at ${espMount}: the firmware of ${arch} starts its boot loader there`,
    )
  if (secureBoot === true && esp === -1)
    fault(['secureBoot'], `must be false for a disk that has no partition at ${espMount}`, secureBoot)
  if (secureBoot === true && arch !== 'x86_64')
    fault(['secureBoot'], `must be false for ${arch}: only PCs are known to start such a disk`, secureBoot)
  partitions.forEach(({ filesystem, mount, sizeMiB, primary, bootable, reservedPercent }, index) => {
    const at = ['partitions', index]
    if ((filesystem === 'vfat') !== (mount === espMount)) {
      const rule =
        mount === espMount ? 'must be vfat, which firmware reads' : `may be vfat only at ${espMount}`
      fault([...at, 'filesystem'], rule, filesystem)
    }
    if (index === esp && sizeMiB !== undefined && sizeMiB < smallestEspMiB)
      fault([...at, 'sizeMiB'], `must be at least ${smallestEspMiB}, or it is not FAT32`, sizeMiB)
    if (index === esp && !primary) fault([...at, 'primary'], `must be set at ${espMount}`, primary)
    if (filesystem === 'vfat' && reservedPercent !== 0)
      fault([...at, 'reservedPercent'], 'must be 0: a vfat reserves nothing', reservedPercent)
    if (wanted === 'gpt' && bootable)
      fault(
        [...at, 'bootable'],
        `must be left out: a GPT is for firmware that looks for ${espMount}`,
        bootable,
      )
  })
}

/** The rules for a disk, so that every hypervisor's format holds it exactly and every installer can make it. */

import type { Partition } from '../disk/layout.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { diskUnitMiB } from './image.ts'
import { type Overrides, originOf } from './overrides.ts'
import type { PipelineFields } from './pipeline.ts'

/** MiB kept free for the partition table, the boot loader and each logical partition's own record. */
const alignmentMiB = 1

const minimumRootMiB = 256

/** Every rule that the disk breaks. */
export function diskFaults(disk: PipelineFields['disk'], overrides: readonly Overrides[]): Fault[] {
  const faults: Fault[] = []
  const fault = (path: PropertyKey[], rule: string, found?: unknown) =>
    faults.push({
      path: formatPath(path),
      rule,
      found: formatFound(found),
      ...originOf(overrides, path),
    })
  const { sizeMiB, partitions } = disk
  if (sizeMiB % diskUnitMiB !== 0) {
    const below = Math.floor(sizeMiB / diskUnitMiB) * diskUnitMiB
    const near = below === 0 ? `${diskUnitMiB}` : `${below} or ${below + diskUnitMiB}`
    const rule = `must be a multiple of ${diskUnitMiB} MiB, or some hypervisor's format would round it: try ${near}`
    fault(['disk', 'sizeMiB'], rule, sizeMiB)
  }
  partitions.forEach((partition, index) => {
    const at = ['disk', 'partitions', index]
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
    fault(
      ['disk', 'partitions'],
      'at most 4 primary partitions, one of them given up for logical ones',
      primaries,
    )
  }
  if (!partitions.some((partition) => partition.mount === '/')) {
    fault(['disk', 'partitions'], 'one partition must be mounted at /')
  }
  const mounts = partitions.flatMap((partition) => partition.mount ?? [])
  for (const mount of new Set(mounts.filter((mount, index) => mounts.indexOf(mount) !== index))) {
    fault(['disk', 'partitions'], `${mount} is mounted twice`)
  }
  const needed = requiredMiB(partitions as readonly Partition[])
  if (sizeMiB < needed) {
    const rule = `too small for its partitions, which need ${needed} MiB with at least ${minimumRootMiB} for the last`
    fault(['disk', 'sizeMiB'], rule, sizeMiB)
  }
  return faults
}

function requiredMiB(partitions: readonly Partition[]): number {
  const fixed = partitions.reduce((sum, partition) => sum + (partition.sizeMiB ?? minimumRootMiB), 0)
  return fixed + alignmentMiB * (partitions.length + 1)
}

/** An image's disk in partman's language: a recipe with one line per partition. */

import { type Disk, espMount, espOf, type Partition } from '../../disk/layout.ts'
import { exitCodes, PipelineError } from '../../errors.ts'

const bytesPerMiB = 1024 * 1024
/** partman's unit. */
const bytesPerUnit = 1_000_000
/** Units left for the partition table, for alignment to whole MiB, and for the record in front of each logical partition. */
const slackUnits = 16
/** Anything smaller cannot hold the base system during the installation. */
const smallestGrowingUnits = 256

/**
 * A line per partition: minimum, priority, maximum, filesystem, and what to do with it. A fixed one repeats the same number
 * three times. The growing one has no maximum, and half of the remaining space as its minimum, so that the sum stays below
 * the disk's size however partman rounds.
 */
export function recipeEntries(disk: Disk): readonly string[] {
  const diskUnits = Math.floor((disk.sizeMiB * bytesPerMiB) / bytesPerUnit)
  const fixedUnits = disk.partitions.reduce((sum, partition) => sum + unitsOf(partition), 0)
  const rest = diskUnits - slackUnits - fixedUnits
  if (disk.partitions.filter((partition) => partition.grow).length !== 1 || !disk.partitions.at(-1)?.grow) {
    throw diskFault('exactly one partition must grow, and it must be the last')
  }
  if (rest < smallestGrowingUnits) {
    throw diskFault(
      `its partitions leave ${Math.max(rest, 0)} MB of ${diskUnits} MB for the last one, which needs ${smallestGrowingUnits} MB`,
    )
  }
  // partman makes primary partitions first, regardless of their order.
  const primaries = disk.partitions.map((partition) => partition.primary)
  if (primaries.lastIndexOf(true) > primaries.indexOf(false) && primaries.includes(false)) {
    throw diskFault('a primary partition comes after a logical one, and partman would change their order')
  }
  return disk.partitions.map((partition) => {
    const units = unitsOf(partition)
    const sizes = partition.grow ? `${Math.floor(rest / 2)} ${rest} -1` : `${units} ${units} ${units}`
    return `${sizes} ${partitionWords(partition).join(' ')} .`
  })
}

/** @throws PipelineError `installer-disk` */
export function requirePartmanNumbers(disk: Disk): void {
  const hint = 'make layer 0 with: --installer bootstrap.'
  if (disk.table === 'gpt')
    throw diskFault('it numbers the partitions of a GPT consecutively, and not from 5', hint)
  if (espOf(disk) !== undefined)
    throw diskFault(
      `it numbers all primary partitions before the others, and leaves ${espMount} no number but 2`,
      hint,
    )
}

function unitsOf(partition: Partition): number {
  return partition.grow ? 0 : Math.ceil(((partition.sizeMiB ?? 0) * bytesPerMiB) / bytesPerUnit)
}

function partitionWords(partition: Partition): readonly string[] {
  const { filesystem, mount, primary, bootable, reservedPercent } = partition
  const place = [...(primary ? ['$primary{ }'] : []), ...(bootable ? ['$bootable{ }'] : [])]
  // partman's method chooses the filesystem and the mount point.
  if (filesystem === 'vfat') return ['free', '$iflabel{ gpt }', 'method{ efi } format{ }']
  if (filesystem === 'swap') return ['linux-swap', ...place, 'method{ swap } format{ }']
  return [
    filesystem,
    ...place,
    `method{ format } format{ } use_filesystem{ } filesystem{ ${filesystem} }`,
    `mountpoint{ ${mount} }`,
    `reserved_for_root{ ${reservedPercent} }`,
  ]
}

function diskFault(message: string, hint = 'change disk in pipeline.ts.'): PipelineError {
  return new PipelineError({
    code: 'installer-disk',
    message: `debian-installer cannot make this disk: ${message}`,
    hint,
    exitCode: exitCodes.badInput,
  })
}

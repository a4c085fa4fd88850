/** The disk as debian-installer has left it: where its partitions lie, what is installed, and whether that was asked for. */

import type { DiskFiles, DiskPartition } from '../../disk/disk-files.ts'
import type { Disk } from '../../disk/layout.ts'
import { type Layout, type PlacedPartition, sectorBytes } from '../../disk/layout.ts'

const mebibyte = 1024 * 1024

/**
 * Where the partitions lie. The installer makes up their UUIDs, and places them at its own whole MiB.
 * @returns also every way in which they are not those of `disk`; the layout is only of use where there is none
 */
export function readLayout(
  disk: Disk,
  found: Pick<DiskFiles, 'sizeBytes' | 'partitions' | 'table'>,
): { readonly layout: Layout; readonly differences: readonly string[] } {
  const differences: string[] = []
  if (found.table !== 'dos') differences.push(`the partition table is ${found.table}, not dos`)
  const extended = found.partitions.find(({ type }) => isExtended(type))
  const places = found.partitions.filter(({ type }) => !isExtended(type))
  if (places.length !== disk.partitions.length) {
    differences.push(`there are ${places.length} partitions, not ${disk.partitions.length}`)
  }
  const partitions = disk.partitions.flatMap((wanted, index): PlacedPartition[] => {
    const place = places[index]
    if (place === undefined) return []
    differences.push(...comparePartition(wanted, place))
    const { number, startSector, sectors, uuid = '' } = place
    return [{ ...wanted, number, startSector, sectors, uuid }]
  })
  const diskId = found.partitions[0]?.partitionUuid?.split('-')[0] ?? ''
  return { layout: { sizeBytes: found.sizeBytes, diskId, extended, partitions }, differences }
}

/** Whether a partition of an MBR's table is one that holds logical ones, by any of the three types that say so. */
export function isExtended(type: string): boolean {
  return ['5', 'f', '85'].includes(type)
}

/** partman counts in millions of bytes and then rounds to whole MiB. */
const roundingMiB = 2

function comparePartition(wanted: Disk['partitions'][number], found: DiskPartition): readonly string[] {
  const name = `partition ${found.number}`
  const sizeMiB = (found.sectors * sectorBytes) / mebibyte
  const isPrimary = found.number < 5
  const isOff = wanted.sizeMiB !== undefined && Math.abs(sizeMiB - wanted.sizeMiB) > roundingMiB
  return [
    ...(wanted.filesystem === found.filesystem
      ? []
      : [`${name} has ${found.filesystem ?? 'no filesystem'}, not ${wanted.filesystem}`]),
    ...(isOff ? [`${name} has ${sizeMiB.toFixed(1)} MiB, not ${wanted.sizeMiB}`] : []),
    ...(isPrimary === wanted.primary ? [] : [`${name} is ${isPrimary ? 'primary' : 'logical'}`]),
    ...(wanted.mount === found.mountPoint || wanted.filesystem === 'swap'
      ? []
      : [`${name} is mounted at ${found.mountPoint ?? 'no place'}, not ${wanted.mount}`]),
  ]
}

/** The database in which the installer keeps every question that was put to it or answered for it. */
export const questionsFile = '/var/log/installer/cdebconf/questions.dat'

/** What the installer files answers under that belong to no question that it knows. */
const unknownTemplate = 'debian-installer/dummy'

/** Questions of other packages than the installer's, which are handed on to the installed system. */
const handedOn = /^tasksel\//

/** What the installer reads where it is answered, and never asks. */
export const neverAsked: ReadonlySet<string> = new Set([
  'base-installer/debootstrap_variant',
  'mirror/udeb/suite',
])

/**
 * Questions that were answered and that nobody has asked: misspelt, or of another release.
 * @param text the installer's `questions.dat`
 * @param expected questions of packages, which the installer itself does not know
 */
export function unknownAnswers(text: string, expected: ReadonlySet<string> = new Set()): readonly string[] {
  return text.split(/\n{2,}/).flatMap((stanza) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1]
    const name = field('Name')
    if (name === undefined || name === unknownTemplate || field('Template') !== unknownTemplate) return []
    return handedOn.test(name) || neverAsked.has(name) || expected.has(name) ? [] : [name]
  })
}

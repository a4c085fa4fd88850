/** The files that a VMDK refers to. Format: VMware's "Virtual Disk Format". */

import { type ReadImageBytes, type Reference, textOf } from './reference.ts'

const sectorBytes = 512
/** The part of a descriptor that QEMU reads. */
const descriptorBytes = 20 * sectorBytes
const mostExtents = 32

export async function readVmdkReferences(read: ReadImageBytes): Promise<readonly Reference[]> {
  const header = await read(0, sectorBytes)
  const isSparse = header.toString('latin1', 0, 4) === 'KDMV' && header.length === sectorBytes
  if (!isSparse) return referencesIn(textOf(await read(0, descriptorBytes)), { namesExtents: true })
  // If the capacity is 0, QEMU uses the descriptor's extents as the disk.
  const namesExtents = header.readBigUInt64LE(12) === 0n
  const described = Number(header.readBigUInt64LE(28)) * sectorBytes
  // QEMU looks for the parent right after the header, wherever the descriptor is.
  const texts = await Promise.all([described, sectorBytes].map((at) => read(at, descriptorBytes)))
  return texts.flatMap((text) => referencesIn(text.toString('latin1'), { namesExtents }))
}

function referencesIn(
  descriptor: string,
  { namesExtents }: { readonly namesExtents: boolean },
): readonly Reference[] {
  const parent = /parentFileNameHint.?("?)([^"\n\0]*)/.exec(descriptor)
  const lines = namesExtents
    ? [...descriptor.matchAll(/^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t][^"\n\0]*"([^"\n\0]*)"/gm)]
    : []
  const extents = lines.slice(0, mostExtents).map(([, name = '']) => ({ kind: 'extent' as const, name }))
  if (namesExtents && extents.length === 0) return [{ kind: 'extent', name: '' }]
  return parent === null ? extents : [{ kind: 'parent', name: parent[2] ?? '' }, ...extents]
}

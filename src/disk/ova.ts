/** The disk in an OVA, which is a tar archive with an OVF description. */

import { type BlockNode, fileNode, stretchNode } from './block-node.ts'
import { requireNoReference } from './chain.ts'
import { readReferences } from './references/read.ts'
import { readMember, readTar, type TarMember } from './tar.ts'
import { unreadableDisk } from './unreadable.ts'

export interface OvaDisk {
  readonly node: BlockNode
  /** All files of the archive, in order. */
  readonly members: readonly TarMember[]
}

/** @throws PipelineError `disk-unreadable`, `disk-refers-elsewhere` */
export async function locateInOva(file: string, signal?: AbortSignal): Promise<OvaDisk> {
  const members = await readTar(file, signal)
  const disks = members.filter(({ name }) => name.toLowerCase().endsWith('.vmdk'))
  const [disk] = disks
  if (disk === undefined || disks.length > 1) {
    throw unreadableDisk(`cannot read the disk ${file}: it has ${disks.length} disks in it instead of one`)
  }
  for (const member of members) {
    if (member.name.toLowerCase().endsWith('.ovf')) await requireOwnFiles(file, member, members)
  }
  requireNoReference(file, await readReferences(file, 'vmdk', disk))
  return { node: { driver: 'vmdk', file: stretchNode(fileNode(file), disk) }, members }
}

/** An OVF description can refer to files by URL. */
async function requireOwnFiles(file: string, description: TarMember, members: readonly TarMember[]) {
  const own = new Set(members.map(({ name }) => name))
  const others = namesIn(await readMember(file, description)).filter((name) => !own.has(name))
  requireNoReference(
    file,
    others.map((name) => ({ kind: 'extent', name })),
  )
}

/**
 * The names in a description's File elements. A tag is matched up to the next `<`, which attributes cannot contain, unlike
 * `>`. So nothing is read twice, however many tags are left open.
 */
function namesIn(description: string): readonly string[] {
  const tags = description.match(/<(?:\w+:)?File\b[^<]*/g) ?? []
  return tags.flatMap((tag) =>
    Array.from(tag.matchAll(/\bhref\s*=\s*["']([^"']*)["']/g), ([, name = '']) => name),
  )
}

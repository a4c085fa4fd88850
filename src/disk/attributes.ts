/** Extended attributes of inodes: capabilities, ACLs, and any others. */

import { askDebugfs } from './debugfs.ts'
import { unreadableDisk } from './unreadable.ts'

/** An attribute of an inode. */
export interface AttributeRequest {
  readonly inode: number
  readonly name: string
  readonly sizeBytes: number
}

/**
 * Values of attributes, by inode and name, as getxattr(2) returns them. debugfs's `stat` shows only those below 40 bytes, and
 * some of them inexactly.
 */
export async function readAttributes(
  filesystem: string,
  requests: readonly AttributeRequest[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, ReadonlyMap<string, Buffer>>> {
  const wordOf = ({ inode, name }: AttributeRequest) => `ea_get -x <${inode}> "${name}"`
  for (const { inode, name } of requests) {
    // debugfs escapes all other characters in the names it prints, but does not accept the escapes.
    if (/^[ !#-[\]-~]+$/.test(name)) continue
    throw unreadableDisk(
      `debugfs cannot be asked for the attribute ${JSON.stringify(name)} of inode ${inode}`,
    )
  }
  const wanted = requests.filter(({ sizeBytes }) => sizeBytes > 0)
  const answers = await askDebugfs(filesystem, wanted.map(wordOf), signal)
  const values = new Map<string, Buffer>()
  for (const request of wanted) {
    answers.begin(wordOf(request))
    const [, size, hex = ''] = answers.take(/.* \((\d+)\) = ((?:[0-9a-f]{2} )+)\n\n?/y) ?? []
    const value = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    // Not the size in the inode: an ACL is longer in the form that getxattr(2) returns.
    if (value.length !== Number(size)) {
      throw unreadableDisk(`the attribute ${request.name} of inode ${request.inode} cannot be read`)
    }
    values.set(wordOf(request), value)
  }
  answers.end()
  const found = new Map<number, Map<string, Buffer>>()
  for (const request of requests) {
    const ofInode = found.get(request.inode) ?? new Map<string, Buffer>()
    found.set(request.inode, ofInode.set(request.name, values.get(wordOf(request)) ?? Buffer.alloc(0)))
  }
  return found
}

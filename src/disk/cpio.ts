/** A cpio archive in the `newc` format, which the Linux kernel unpacks after the initrd it is appended to. */

/** One entry; the writer adds its parent folders. */
export interface CpioEntry {
  /** Path in the initramfs, without a leading slash. */
  readonly path: string
  readonly mode: number
  readonly content: Uint8Array
}

const folderMode = 0o40755
const regularFile = 0o100000

/** Renders an archive. Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel sources. */
export function renderCpio(entries: readonly CpioEntry[]): Buffer {
  const folders = new Set<string>()
  for (const { path } of entries) {
    const parts = path.split('/').slice(0, -1)
    parts.forEach((_, index) => {
      folders.add(parts.slice(0, index + 1).join('/'))
    })
  }
  const members = [
    ...[...folders].sort().map((path, index) => member(index + 1, path, folderMode, Buffer.alloc(0))),
    ...entries.map(({ path, mode, content }, index) =>
      member(folders.size + index + 1, path, regularFile | mode, Buffer.from(content)),
    ),
    member(0, 'TRAILER!!!', 0, Buffer.alloc(0)),
  ]
  return padded(Buffer.concat(members), 512)
}

function member(inode: number, path: string, mode: number, content: Buffer): Buffer {
  const name = Buffer.from(`${path}\0`)
  const isFolder = (mode & 0o170000) === 0o40000
  // inode, mode, uid, gid, links, mtime, size, device (major, minor), special device (major, minor), name size, check
  const fields = [inode, mode, 0, 0, isFolder ? 2 : 1, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name]), 4), padded(content, 4)])
}

function padded(bytes: Buffer, unit: number): Buffer {
  const missing = (unit - (bytes.length % unit)) % unit
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)])
}

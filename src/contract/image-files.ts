/** The file systems of an image as checks read them: by the paths that they have in the running system. */

export interface FileEntry {
  readonly name: string
  readonly type: 'file' | 'folder' | 'link' | 'other'
  /** Permissions with the set-user-id, set-group-id and sticky bits. */
  readonly mode: number
  readonly sizeBytes: number
  /** Where a link points to. */
  readonly target: string | undefined
}

/** One partition of a disk. */
export interface PartitionFacts {
  readonly number: number
  /** `ext2`, `ext4`, `swap`, `vfat`, … ; undefined for what is not known here */
  readonly filesystem: string | undefined
  readonly bootable: boolean
  readonly startSector: number
  readonly sectors: number
  /** Of an ext file system: blocks that only root may use. */
  readonly reservedBlocks: number | undefined
  /** Where it is mounted, by the image's own fstab. */
  readonly mount: string | undefined
}

export interface ImageFiles {
  /** `dos` or `gpt` */
  readonly partitionTable: string
  readonly partitions: readonly PartitionFacts[]
  /** What is in a folder; empty where there is none. Links on the way are followed. */
  readonly list: (folder: string) => Promise<readonly FileEntry[]>
  /** A file or link itself, not what it points to. */
  readonly stat: (path: string) => Promise<FileEntry | undefined>
  /** A file's bytes, through links; undefined where there is none. */
  readonly read: (path: string) => Promise<Buffer | undefined>
  /** The bytes of those paths that are regular files; no links are followed. Far quicker than one after the other. */
  readonly readAll: (paths: readonly string[]) => Promise<ReadonlyMap<string, Buffer>>
  readonly close: () => Promise<void>
}

/** A file's text; undefined where there is none. */
export async function readText(files: ImageFiles, path: string): Promise<string | undefined> {
  return (await files.read(path))?.toString()
}

/** Names in a folder; empty where there is none. */
export async function namesIn(files: ImageFiles, folder: string): Promise<readonly string[]> {
  return (await files.list(folder)).map(({ name }) => name)
}

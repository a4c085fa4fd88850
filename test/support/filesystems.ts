/** Small disks with filesystems, made without root by the tools that make real ones. */

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { pathOfTools } from './path-of-tools.ts'

const env = { ...process.env, PATH: pathOfTools, LC_ALL: 'C', E2FSPROGS_FAKE_TIME: '1700000000' }
const mibBytes = 1024 * 1024

export interface TestFilesystem {
  readonly type: 'ext2' | 'ext3' | 'ext4'
  readonly sizeMiB: number
  /** Folder with its content. */
  readonly from?: string
  readonly uuid?: string
  readonly label?: string
  /** More arguments for mke2fs. */
  readonly words?: readonly string[]
}

/** The content of a tree: a text is a file, an array a link, and null a folder. */
export type Tree = Readonly<Record<string, string | Uint8Array | readonly [target: string] | null>>

/** Replaces a tree; every file has the same timestamp and is readable by everyone. */
export function makeTree(folder: string, tree: Tree): string {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(tree)) {
    const path = join(folder, name)
    mkdirSync(content === null ? path : dirname(path), { recursive: true })
    if (content === null) continue
    if (content instanceof Uint8Array || typeof content === 'string') {
      writeFileSync(path, content)
      chmodSync(path, 0o644)
    } else symlinkSync(content[0], path)
    lutimesSync(path, 1_700_000_000, 1_700_000_000)
  }
  return folder
}

/** Makes a filesystem in a file, with the blocks that Debian gives a small one: Ubuntu's leave no room for a journal. */
export function makeFilesystem(file: string, filesystem: TestFilesystem): void {
  const { type, sizeMiB, from, uuid, label, words = [] } = filesystem
  const options = [
    ...['-I', '256', '-b', '1024'],
    ...(from === undefined ? [] : ['-d', from]),
    ...(uuid === undefined ? [] : ['-U', uuid]),
    ...(label === undefined ? [] : ['-L', label]),
  ]
  execFileSync('mke2fs', ['-q', '-F', '-t', type, ...options, ...words, file, `${sizeMiB}M`], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

/** Changes a filesystem with debugfs requests, which can do what otherwise requires root. */
export function changeFilesystem(file: string, requests: readonly string[]): void {
  const { stderr } = spawnSync('debugfs', ['-w', '-f', '-', file], {
    env,
    input: `${requests.join('\n')}\n`,
    encoding: 'utf8',
  })
  const complaints = stderr.split('\n').filter((line) => line !== '' && !/^debugfs \d/.test(line))
  if (complaints.length > 0) throw new Error(complaints.join('\n'))
}

/** Makes a disk with a table in the notation of sfdisk, and with files at given first sectors. */
export function makeDisk(
  file: string,
  sizeMiB: number,
  table: string,
  content: Readonly<Record<number, string>>,
): void {
  writeFileSync(file, '')
  truncateSync(file, sizeMiB * mibBytes)
  execFileSync('sfdisk', ['--quiet', file], { env, input: table, stdio: ['pipe', 'ignore', 'pipe'] })
  const disk = openSync(file, 'r+')
  for (const [sector, path] of Object.entries(content)) {
    const bytes = readFileSync(path)
    writeSync(disk, bytes, 0, bytes.length, Number(sector) * 512)
  }
  closeSync(disk)
}
